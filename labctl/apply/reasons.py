"""What differs between two texts of one unit, in a few words. Values that may be somebody's own are not shown."""

import re
import shlex
from collections.abc import Iterator

from labctl.render.names import without_version

_GROUPS = {
    "PublishPort": "ports",
    "Volume": "volumes",
    "Network": "networks",
    "Tmpfs": "volumes",
    "Entrypoint": "arguments",
    "OnCalendar": "time",
    "RuntimeMaxSec": "time",
    "CPUQuota": "processor limit",
}
_SILENT = ("Description", "Documentation", "Label", "ContainerName")
_NUMBER = re.compile(r"-?[\d.,]+")
_MOST = 3


def reasons(before: str, after: str) -> Iterator[str]:
    """Each of them once; one is always told."""
    old, new = _settings(before), _settings(after)
    found = [
        each
        for key in dict.fromkeys((*old, *new))
        if old.get(key) != new.get(key)
        for each in _reason(key, old.get(key, []), new.get(key, []))
    ]
    yield from dict.fromkeys(found or ["what the plan counts for it"])


def about(text: str) -> Iterator[str]:
    """What a new unit is, in a few words."""
    found = _settings(text)
    cards = [card for each in found.get("AddDevice", []) if (card := _card(each)).startswith("GPU-")]
    if cards:
        yield f"on {' + '.join(cards)}"
    yield from (f"image {each}" for each in found.get("Image", []))


def _settings(text: str) -> dict[str, list[str]]:
    """Values by key, without remarks and without what nobody would start a service anew for."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";", "[")) and key not in _SILENT:
            found.setdefault(key, []).append(value)
    return found


def _reason(key: str, old: list[str], new: list[str]) -> list[str]:
    match key:
        case "Image":
            return [_image(" ".join(old), " ".join(new))]
        case "MemoryMax":
            return [f"memory limit {_size(old)} → {_size(new)}"]
        case "AddDevice":
            return [_devices(old, new)]
        case "Exec":
            return [_arguments(" ".join(old), " ".join(new))]
        case "Environment" | "Secret":
            variables = ", ".join(_variables(old, new))
            return [f"environment {variables}" if key == "Environment" else _secrets(old, new)]
        case _ if key in _GROUPS:
            return [_GROUPS[key]]
        case _ if key.startswith("Health"):
            return ["health check"]
        case _:
            return ["settings"]


def _image(old: str, new: str) -> str:
    """Of one repository the tags alone."""
    before, after = old.rpartition(":"), new.rpartition(":")
    if before[0] and before[0] == after[0]:
        return f"image {before[2]} → {after[2]}"
    return f"image {old or 'none'} → {new or 'none'}"


def _size(values: list[str]) -> str:
    text = "".join(values).removesuffix("M")
    if not text.isdigit():
        return "none"
    return f"{int(text) / 1024:.1f} GiB" if int(text) >= 1024 else f"{text} MiB"


def _devices(old: list[str], new: list[str]) -> str:
    before, after = ([_card(each) for each in values] for values in (old, new))
    if all(each.startswith("GPU-") for each in (*before, *after)):
        return f"cards {' + '.join(before) or 'none'} → {' + '.join(after) or 'none'}"
    return "devices"


def _card(device: str) -> str:
    return device.rpartition("=")[2]


def _arguments(old: str, new: str) -> str:
    before, after = _options(old), _options(new)
    found = []
    for option in dict.fromkeys((*before, *after)):
        was, to = before.get(option), after.get(option)
        if was != to:
            shown = was and to and _NUMBER.fullmatch(was) and _NUMBER.fullmatch(to)
            found.append(f"{option} {was} → {to}" if shown else option)
    shown_ones = [each for each in found if each.startswith("-")]
    more = " …" if len(shown_ones) > _MOST else ""
    return f"arguments {', '.join(shown_ones[:_MOST])}{more}" if shown_ones else "arguments"


def _options(command: str) -> dict[str, str]:
    """Value by option; "" for one that has none."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    found: dict[str, str] = {}
    option = ""
    for word in words:
        if word.startswith("-") and not _NUMBER.fullmatch(word):
            option, equals, value = word.partition("=")
            found[option] = value if equals else ""
        elif option and not found[option]:
            found[option] = word
        else:
            found[f" {word}"] = ""
    return found


def _secrets(old: list[str], new: list[str]) -> str:
    """Where the same ones are taken, which of them have another value."""
    if [_taken(each) for each in old] != [_taken(each) for each in new]:
        return "secrets"
    targets = [each.rpartition("target=")[2] for each in new if each not in old]
    return f"another value for {', '.join(targets)}"


def _taken(secret: str) -> tuple[str, str]:
    name, _, rest = secret.partition(",")
    return without_version(name), rest


def _variables(old: list[str], new: list[str]) -> list[str]:
    names = {_name(each) for each in {*old} ^ {*new}}
    return sorted(names)


def _name(line: str) -> str:
    return line.strip("\"'").partition("=")[0]
