"""Times and states for people."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def seconds_words(seconds: int) -> str:
    """How long, in two units at most: 45 s, 12 min, 2 h 4 min, 3 days."""
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE} min"
    if seconds < 2 * _DAY:
        minutes = seconds % _HOUR // _MINUTE
        return f"{seconds // _HOUR} h {minutes} min" if minutes else f"{seconds // _HOUR} h"
    return f"{seconds // _DAY} days"
