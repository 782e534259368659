"""What a person reads from `labctl place`: verdict, cards, workloads, power, refusals. Pure; 80 columns at most."""

from collections.abc import Iterator, Mapping, Sequence

from labctl.cli.columns import Side, table, wrapped
from labctl.cli.place_bars import ASCII, UNICODE, Bar, Palette, bar, lengths, letters_of, names_on, palette
from labctl.cli.place_picture import Block, CardPicture, HostPicture, OtherTime, cards_named, gib, pictures
from labctl.cli.place_reasons import RefusalRow, refusal_rows
from labctl.cli.place_rows import Row, far_sentences, faster_sentences, proof, rows, verdict
from labctl.cli.place_suggestions import TRIED, suggestion_lines
from labctl.cli.terminal import ANY_TERMINAL, Terminal
from labctl.place.faster import Faster
from labctl.place.group import short_title
from labctl.place.placement import Placement
from labctl.place.solver_explain import Refused
from labctl.place.suggestion import Suggestion

_BOLD, _GREEN, _RED, _YELLOW, _PLAIN = "\x1b[1m", "\x1b[1;32m", "\x1b[1;31m", "\x1b[33m", "\x1b[0m"


def place_text(
    placement: Placement,
    terminal: Terminal = ANY_TERMINAL,
    found: Mapping[str, Sequence[Suggestion]] | None = None,
    slow: Sequence[Faster] = (),
) -> str:
    """The whole answer, ending in a line end.

    found: what would give those without a place one, by workload; None where nobody looked. slow: what could do better.
    """
    text = _Text(placement, terminal)
    paragraphs = [
        text.verdict(),
        *text.hosts(),
        text.workloads(),
        text.warnings([*far_sentences(placement), *faster_sentences(placement, slow)]),
        text.power(),
        *(text.refused(each, found or {}) for each in placement.refused),
        text.tried(found or {}),
    ]
    return "\n\n".join("\n".join(lines) for lines in map(list, paragraphs) if lines) + "\n"


class _Text:
    """One answer on one terminal."""

    def __init__(self, placement: Placement, terminal: Terminal) -> None:
        self._placement = placement
        self._width = terminal.columns
        self._colour = terminal.colour
        self._plain = terminal.spelled
        self._hosts = pictures(placement)
        self._fills = ASCII if terminal.ascii_only else UNICODE
        self._palette: Palette = palette(self._hosts, self._fills)

    def verdict(self) -> list[str]:
        lines = self._wrapped(verdict(self._placement))
        word, _, rest = lines[0].partition(" ")
        lines[0] = f"{self._painted(word, _RED if self._placement.refused else _GREEN)} {rest}"
        return [*lines, *self._wrapped(proof(self._placement))]

    def hosts(self) -> Iterator[list[str]]:
        """One paragraph for each host, and under the last what the fills mean."""
        cards = [card for host in self._hosts for card in host.cards]
        cells = dict(zip((id(card) for card in cards), lengths(cards, self._width), strict=True))
        for host in self._hosts:
            lines = self._wrapped(" · ".join((host.host.name, *host_facts(host))), later="  ")
            lines[0] = self._painted_head(lines[0])
            for card in host.cards:
                lines += self._card(card, cells[id(card)])
            if host is self._hosts[-1]:
                lines += self._key(cards)
            yield lines

    def workloads(self) -> list[str]:
        """A table; in a narrow window two lines for each."""
        every = rows(self._placement)
        found = [row for row in every if not row.plain]
        lines: list[str] = []
        if found:
            head = ("", "where", "how", "tokens/s", "RAM GiB")
            cells = [(row.name, row.where, row.how, row.speed or "–", _ram(row)) for row in found]
            sides: tuple[Side, ...] = ("left", "left", "left", "right", "right")
            lines = table([head, *cells], sides, self._width, wrap=2) or [
                line for row in found for line in self._stacked(row)
            ]
        for host in self._hosts:
            plain = [row for row in every if row.plain and row.host == host.host.name]
            lines += self._without_card(host.host.name, plain)
        return [self._plain(line) for line in lines]

    def _without_card(self, host: str, found: Sequence[Row]) -> list[str]:
        named = ", ".join(row.name for row in found)
        ram_mib = sum(row.ram_mib for row in found)
        together = "together " if len(found) > 1 else ""
        ram = f", {together}{gib(ram_mib)} GiB of RAM" if ram_mib else ""
        return self._wrapped(f"Without a card on {host}: {named}{ram}", later="  ") if found else []

    def warnings(self, sentences: Sequence[str]) -> list[str]:
        """What does not work as placed, or would run faster otherwise."""
        return [
            self._painted(line, _YELLOW)
            for sentence in sentences
            for line in self._wrapped(f"! {sentence}", later="  ")
        ]

    def power(self) -> list[str]:
        """A line for each host; a warning right below it."""
        lines: list[str] = []
        for host in self._hosts:
            lines += self._wrapped(power_line(host), later="  ")
            if host.power.warning:
                warning = self._wrapped(f"! {host.power.warning}", later="  ")
                lines += [self._painted(line, _YELLOW) for line in warning]
        return lines

    def refused(self, refused: Refused, found: Mapping[str, Sequence[Suggestion]]) -> list[str]:
        """Every card that was asked, and what would help."""
        every = refusal_rows(self._placement, refused)
        lines = self._wrapped(f"{refused.workload} has no place on {_sentence(every[0])}", later="    ")
        if len(every) > 1:
            lines = [f"{refused.workload} has no place:", *self._refusals(every)]
        lines[0] = self._painted_head(lines[0])
        lines += suggestion_lines(found.get(refused.workload), self._width)
        return [self._plain(line) for line in lines]

    def tried(self, found: Mapping[str, Sequence[Suggestion]]) -> list[str]:
        """What was, where it gave some workload nothing."""
        return self._wrapped(TRIED) if any(not each for each in found.values()) else []

    def _refusals(self, found: Sequence[RefusalRow]) -> list[str]:
        if any(row.needs_mib is not None for row in found):
            head = ("", "needs MiB", "free MiB", "")
            cells = [(row.where, _figure(row.needs_mib), _figure(row.free_mib), row.why) for row in found]
            lines = table([head, *cells], ("left", "right", "right", "left"), self._width - 2, wrap=3)
            if lines is not None:
                return [f"  {line}" for line in lines]
        return [line for row in found for line in self._wrapped(_sentence(row), indent="  ", later="      ")]

    def _card(self, card: CardPicture, cells: int) -> Iterator[str]:
        yield from self._card_head(card)
        if not card.size_mib:
            return
        letters = letters_of(names_on(card))
        line = bar(card.blocks, card.size_mib, cells, self._palette, letters)
        yield line.text(colour=self._colour)
        for time in card.other_times:
            yield from self._other_time(card, time, cells, letters)
        yield from self._legend(line)

    def _card_head(self, card: CardPicture) -> Iterator[str]:
        """Name and model on the left, what is free on the right."""
        left = f"{cards_named(card.cards)}  {card_title(card)}"
        each = " each" if len(card.cards) > 1 else ""
        right = f"{gib(card.free_mib)} of {gib(card.size_mib)} GiB free{each}" if card.size_mib else ""
        if len(left) + len(right) + 2 <= self._width:
            yield self._plain(f"{left}{right:>{self._width - len(left)}}".rstrip())
        else:
            yield from self._wrapped(left, later="  ")
            yield self._plain(f"  {right}")
        for note in card.notes:
            yield from (self._painted(line, _YELLOW) for line in self._wrapped(f"! {note}", later="  "))

    def _other_time(
        self, card: CardPicture, time: OtherTime, cells: int, letters: Mapping[str, str]
    ) -> Iterator[str]:
        """What is there while a job runs, right below whose room it takes."""
        before = round(cells * time.offset_mib / card.size_mib)
        taken = sum(each.mib for each in time.blocks)
        length = max(1, round(cells * (time.offset_mib + taken) / card.size_mib) - before)
        line = bar(time.blocks, taken, length, self._palette, letters)
        drawn = " " * before + line.text(colour=self._colour)
        said = f"{time.when or 'while it runs'}{time.instead}"
        legend = {block.name: letter for letter, block in line.legend}
        if time.job not in legend and before + length + 1 + len(said) <= self._width:
            yield f"{drawn} {self._plain(said)}"
        else:
            yield drawn
            size = f" {gib(time.job_mib)} GiB" if time.job in legend else ""
            job = f"{legend.get(time.job, '')} {time.job}{size}".strip()
            yield from self._wrapped(f"{job}, {said}", indent="  ")

    def _legend(self, line: Bar) -> list[str]:
        named = [f"{letter} {_measured(block)}".strip() for letter, block in line.legend]
        return self._wrapped(" · ".join(named), indent="  ") if named else []

    def _key(self, cards: Sequence[CardPicture]) -> list[str]:
        """What is no workload, where there is any of it."""
        meant = {"free": "free", "margin": "margin, kept empty", "others": "other processes"}
        kinds = {block.kind for card in cards for block in card.blocks}
        words = [f"{self._fills.other[kind]} {said}" for kind, said in meant.items() if kind in kinds]
        return wrapped("   ".join(words), self._width) if words else []

    def _stacked(self, row: Row) -> Iterator[str]:
        speed = f", {row.speed} tokens/s" if row.speed else ""
        ram = f", {gib(row.ram_mib)} GiB of RAM" if row.ram_mib else ""
        yield from self._wrapped(f"{row.name}: {row.where}{speed}{ram}", later="  ")
        yield from self._wrapped(row.how, indent="  ")

    def _wrapped(self, text: str, indent: str = "", later: str | None = None) -> list[str]:
        return wrapped(self._plain(text), self._width, indent, later)

    def _painted(self, text: str, code: str) -> str:
        return f"{code}{text}{_PLAIN}" if self._colour else text

    def _painted_head(self, line: str) -> str:
        """A host's name stands out."""
        name, _, rest = line.partition(" ")
        return f"{self._painted(name, _BOLD)} {rest}".rstrip()


def card_title(card: CardPicture) -> str:
    """`2 × RTX 3090, 280 W`."""
    first = card.cards[0]
    count = f"{len(card.cards)} × " if len(card.cards) > 1 else ""
    limit = f", {first.power_limit_watts} W" if first.power_limit_watts else ""
    return f"{count}{short_title(first.gpu)}{limit}" + (
        ", one memory for card and host" if card.unified else ""
    )


def host_facts(host: HostPicture) -> list[str]:
    """What the machine has beside its cards, and what of it is taken."""
    machine = host.host
    words: list[str] = []
    if machine.ram_mib is not None and not any(card.unified for card in host.cards):
        words.append(f"RAM {gib(host.ram_mib)} of {machine.ram_mib / 1024:.0f} GiB taken")
    if machine.disk_gib is not None:
        words.append(f"disk {gib(host.disk_mib)} of {machine.disk_gib} GiB")
    if links := sorted(
        {(card.index, peer) for card in machine.cards for peer in card.nvlink if card.index < peer}
    ):
        words.append("NVLink " + ", ".join(f"{one}–{other}" for one, other in links))
    return words


def power_line(host: HostPicture) -> str:
    """Limits of all cards and the rest, against what the power supply gives."""
    found = host.power
    drawn = found.gpu_watts + found.system_watts
    parts = f"cards {found.gpu_watts}, the rest {found.system_watts}"
    spikes = f", spikes to {found.peak_watts} W" if found.peak_watts > drawn else ""
    if found.psu_watts is None:
        return f"Power of {host.host.name}: {drawn} W ({parts}){spikes}, power supply unknown"
    return f"Power of {host.host.name}: {drawn} W of {found.psu_watts} W ({parts}){spikes}"


def _measured(block: Block) -> str:
    share = "" if block.of_mib is None else f" of {gib(block.of_mib)}"
    return f"{block.name} {gib(block.mib)}{share} GiB"


def _ram(row: Row) -> str:
    return gib(row.ram_mib) if row.ram_mib else "–"


def _figure(mib: int | None) -> str:
    return "–" if mib is None else f"{mib:,}"


def _sentence(row: RefusalRow) -> str:
    if row.needs_mib is None:
        return f"{row.where}: {row.why}"
    return f"{row.where}: {row.why} (needs {row.needs_mib:,} MiB, {row.free_mib or 0:,} MiB free)"
