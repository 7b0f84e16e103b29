"""ID spaces that cause the rise in held-out loss after the first epoch."""

from __future__ import annotations

from collections.abc import Mapping

from tfrs_pretrain.diagnosis.controls import BASE, DROPPED, WITHOUT_IDS
from tfrs_pretrain.diagnosis.verdict import BorderRise, remaining_share

# Share of replicates that must agree before an ID space is named as the cause.
CERTAIN = 0.95


def blamed_spaces(rises: Mapping[str, BorderRise]) -> list[str]:
    """Return the ID spaces without which most of the base's border rise disappears.

    Args:
      rises: control -> its rise, the base included.
    """
    def removes_rise(control: str) -> bool:
        return control in rises and remaining_share(rises[control], rises[BASE])[1] >= CERTAIN

    blamed = [space for control, space in DROPPED.items() if removes_rise(control)]
    # If only removing both helps, either one alone is enough to memorise the labels.
    return blamed or (list(DROPPED.values()) if removes_rise(WITHOUT_IDS) else [])
