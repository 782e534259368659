"""A job's time of day: how long it is, and the timer that starts it."""

from labctl.render import names, needed_files
from labctl.render.unit_text import UnitText
from labctl.render.values import Asked

_DAY_MINUTES = 24 * 60


def minutes(when: str | None) -> int | None:
    """How long a window is; one that ends when it begins is a whole day. None without one."""
    if when is None:
        return None
    start, _, end = when.partition("-")
    return (_of_day(end) - _of_day(start)) % _DAY_MINUTES or _DAY_MINUTES


def timer_text(asked: Asked, header: tuple[str, ...]) -> str:
    """Starts it when its window opens. A host that was off then waits for the next day: the window may be over."""
    assert asked.planned.when is not None, asked.name
    start = asked.planned.when.partition("-")[0]
    text = UnitText(asked.facts.podman)
    text.say("Unit", "Description", f"{asked.name} at {start}, placed by labctl")
    text.say("Timer", "OnCalendar", f"*-*-* {start}:00")
    text.say("Timer", "AccuracySec", "1min")
    starts = names.unit(names.stem(asked.name))
    text.say("Timer", "Unit", names.look(asked.name) if needed_files.is_looked_for(asked) else starts)
    return text.text(header)


def _of_day(clock: str) -> int:
    hours, _, rest = clock.partition(":")
    return int(hours) * 60 + int(rest)
