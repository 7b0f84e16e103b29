"""Names that the states of a chain had before ids were forgotten; running servers may still have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tfrs_pretrain.artifact_names import FORGOTTEN
from tfrs_pretrain.serving.deltas.chain import Chain

TOKEN = "live.token"


class EarlierName(NamedTuple):
    """A name that a state had before ids were forgotten.

    Attributes:
      name: the name.
      number: number of deltas that lead to the state.
      is_equal: the state contained none of the forgotten ids, so it is still the same.
    """

    name: str
    number: int
    is_equal: bool


def earlier_names(chain: Chain) -> Iterator[EarlierName]:
    """Yields all names that ``forget`` has replaced in a version with live updates, or in its deltas."""
    for entry in chain.manifest.get(FORGOTTEN, ()):
        token = entry["digests"].get(TOKEN)
        if token not in (None, chain.manifest["live"]["token"]):
            yield EarlierName(token, 0, is_equal=False)
    for delta in chain.deltas:
        entries = delta.manifest.get(FORGOTTEN, ())
        for first, entry in enumerate(entries):
            yield EarlierName(entry["digests"]["content"], delta.number, is_equal=not _has_rows(entries[first:]))


def _has_rows(entries: Sequence[Mapping[str, Any]]) -> bool:
    return any(rows for entry in entries for rows in entry["rows"].values())
