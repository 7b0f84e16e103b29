"""Numbers for people; a missing number is a dash, never a crash."""

from __future__ import annotations

import math
from typing import Any

DASH = "—"
MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 4) -> str:
    """0.9058; thousands are separated."""
    return DASH if missing(value) else f"{value:,.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 4) -> str:
    """+0.0283 or −0.0283: a difference; one that rounds to nothing has no sign."""
    if value is None or missing(value):
        return DASH
    text = f"{value:+.{digits}f}"
    return text[1:] if not float(text) else text.replace("-", MINUS)


def count(value: float | None) -> str:
    """1,469,307."""
    return number(value, 0)


def share(value: float | None, digits: int = 1) -> str:
    """12.3 % of a fraction 0.123; a share that only rounds to nothing is shown as such."""
    if value is None or missing(value):
        return DASH
    smallest = 10.0 ** -(digits + 2)
    return f"<{100 * smallest:.{digits}f} %" if 0 < value < smallest / 2 else f"{100 * value:.{digits}f} %"


def size(value: float | None) -> str:
    """4.2 GB of a number of bytes, in powers of 1000."""
    if value is None or missing(value):
        return DASH
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{value / limit:.1f} {unit}"
    return f"{value:.0f} B"


def duration(seconds: float | None) -> str:
    """4 min 12 s, 12 s or 3.1 s."""
    if seconds is None or missing(seconds):
        return DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{value} {unit}" for value, unit in parts if value) or "0 s"


def words(name: str) -> str:
    """warm_start_distilled -> warm start distilled."""
    return name.replace("_", " ")


def missing(value: Any) -> bool:
    """Whether a value is no number that could be shown."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


FILTERS = {"number": number, "signed": signed, "count": count, "share": share, "size": size, "duration": duration,
           "words": words}
