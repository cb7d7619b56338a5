"""Durations as people write them: 30s, 5m, 1h, 250ms. Pure."""

import re

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PATTERN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_MINUTE_S, _HOUR_S = 60, 3600


def parse_duration(text: str, *, at_least_s: float, at_most_s: float) -> float:
    """Return the seconds that a text such as "30s", "5m" or "1h" means.

    Raises:
        ValueError: it is no duration, or out of bounds; the message says what was expected.
    """
    found = _PATTERN.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no duration; write a number and ms, s, m or h, such as 5m")
    seconds = float(found[1]) * _UNITS_S[found[2]]
    if not at_least_s <= seconds <= at_most_s:
        raise ValueError(
            f"{text!r} must be between {show_duration(at_least_s)} and {show_duration(at_most_s)}"
        )
    return seconds


def show_duration(seconds: float) -> str:
    """Return a duration for people, short: 0.8 s, 45 s, 5 min, 2 h."""
    if seconds >= _HOUR_S:
        return (
            f"{seconds / _HOUR_S:g} h" if seconds % _HOUR_S == 0 else f"{seconds / _HOUR_S:.1f} h"
        )
    if seconds >= 2 * _MINUTE_S or (seconds >= _MINUTE_S and seconds % _MINUTE_S == 0):
        return f"{seconds / _MINUTE_S:.3g} min"
    return f"{seconds:.0f} s" if seconds >= 10 or seconds == int(seconds) else f"{seconds:.1f} s"  # noqa: PLR2004  (two digits are enough)
