"""Numbers for people; a missing number is a dash, never a crash."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
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


def metric_name(metric: str) -> str:
    """auc -> AUC, log_loss -> log loss."""
    return metric.upper() if metric in ("auc", "gauc") else words(metric)


def setting_words(key: str, value: Any) -> str:
    """arm.table_learning_rate, 0.01 -> table learning rate 0.01."""
    name = words(key.removeprefix("arm.").removeprefix("ranking.").removesuffix(".kind"))
    if value is True:
        return name
    if value is None or value is False:
        return f"no {name}"
    if isinstance(value, Mapping):
        name = f"{name} {words(value['kind'])}" if "kind" in value else name
        inside = ", ".join(setting_words(str(inner), each) for inner, each in value.items() if inner != "kind")
        return f"{name} ({inside})" if inside else name
    if isinstance(value, (list, tuple)):
        return f"{name} {'-'.join(str(each) for each in value)}"
    return f"{name} {words(str(value))}"


def settings_words(settings: Mapping[str, Any]) -> str:
    """All of them, separated by semicolons; a dash for none."""
    return "; ".join(setting_words(key, value) for key, value in settings.items()) or DASH


def missing(value: Any) -> bool:
    """Whether a value is no number that could be shown."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def capital(text: str) -> str:
    """A sentence's first letter."""
    return text[:1].upper() + text[1:]


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, also inside a table."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text).replace("\n", " ")


FILTERS = {"number": number, "signed": signed, "count": count, "share": share, "size": size, "duration": duration,
           "words": words, "capital": capital, "md": markdown}
