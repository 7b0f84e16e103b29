"""Format numbers, names and settings as text; a missing number becomes a dash."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

DASH = "—"
MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 4) -> str:
    """Format 0.90576 as 0.9058, with thousands separated by commas."""
    return DASH if value is None or is_missing(value) else f"{value:,.{digits}f}".replace("-", MINUS)


def signed(value: float | None, digits: int = 4) -> str:
    """Format a difference as +0.0283 or −0.0283; a difference that rounds to zero has no sign."""
    if value is None or is_missing(value):
        return DASH
    text = f"{value:+.{digits}f}"
    return text[1:] if not float(text) else text.replace("-", MINUS)


def count(value: float | None) -> str:
    """Format 1469307 as 1,469,307."""
    return number(value, 0)


def percent(value: float | None, digits: int = 1) -> str:
    """Format 0.123 as 12.3 %; a positive fraction that rounds to zero becomes <0.1 %."""
    if value is None or is_missing(value):
        return DASH
    smallest = 10.0 ** -(digits + 2)
    return f"<{100 * smallest:.{digits}f} %" if 0 < value < smallest / 2 else f"{100 * value:.{digits}f} %"


def size(value: float | None) -> str:
    """Format a number of bytes as 4.2 GB, in powers of 1000."""
    if value is None or is_missing(value):
        return DASH
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{value / limit:.1f} {unit}"
    return f"{value:.0f} B"


def duration(seconds: float | None) -> str:
    """Format seconds as 1 h 2 min, 4 min 12 s, 12 s or 3.1 s."""
    if seconds is None or is_missing(seconds):
        return DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{value} {unit}" for value, unit in parts if value)


def spaced(name: str) -> str:
    """Format warm_start_distilled as warm start distilled."""
    return name.replace("_", " ")


def metric_name(metric: str) -> str:
    """Format auc as AUC and log_loss as log loss."""
    return metric.upper() if metric in ("auc", "gauc") else spaced(metric)


def setting(key: str, value: Any) -> str:
    """Format the setting arm.table_learning_rate: 0.01 as table learning rate 0.01."""
    name = spaced(key.removeprefix("arm.").removeprefix("ranking.").removesuffix(".kind"))
    if value is True:
        return name
    if value is None or value is False:
        return f"no {name}"
    if isinstance(value, Mapping):
        name = f"{name} {spaced(value['kind'])}" if "kind" in value else name
        inner = ", ".join(setting(str(each), inner_value) for each, inner_value in value.items() if each != "kind")
        return f"{name} ({inner})" if inner else name
    if isinstance(value, (list, tuple)):
        return f"{name} {'-'.join(str(each) for each in value)}"
    return f"{name} {spaced(str(value))}"


def settings(values: Mapping[str, Any]) -> str:
    """Format settings, separated by semicolons; no setting becomes a dash."""
    return "; ".join(setting(key, value) for key, value in values.items()) or DASH


def is_missing(value: Any) -> bool:
    """Whether a value is None, infinite or not a number."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def capitalized(text: str) -> str:
    """Return the text with its first letter in upper case and the rest unchanged."""
    return text[:1].upper() + text[1:]


def markdown(text: str) -> str:
    """Escape text so that Markdown shows it unchanged, also in a table."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text).replace("\n", " ")


FILTERS = {"number": number, "signed": signed, "count": count, "percent": percent, "size": size, "duration": duration,
           "spaced": spaced, "capitalized": capitalized, "markdown": markdown}
