"""Compares the contents of two runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from sameness.contents import Content, Contents

SAME, DIFFERENT, MISSING, ADDED = "same", "different", "only in base", "only here"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The comparison of one content.

    Attributes:
      file: relative path.
      name: of the content within the file; of a renamed one both names.
      verdict: SAME, DIFFERENT, MISSING or ADDED.
      base, here: the digests ("" where there is none).
      difference: of the values, in words.
      counts: whether anything but SAME means that the commits differ.
    """

    file: str
    name: str
    verdict: str
    base: str = ""
    here: str = ""
    difference: str = ""
    counts: bool = True

    @property
    def fails(self) -> bool:
        return self.counts and self.verdict != SAME


def compare(base: dict[str, Contents], here: dict[str, Contents]) -> list[Outcome]:
    """Compares two runs, each: relative path -> name within the file -> content. The order is that of the base."""
    outcomes = []
    for file in dict.fromkeys([*base, *here]):
        if file in base and file in here:
            outcomes += _compare_files(file, base[file], here[file])
        else:
            outcomes.append(Outcome(file, "file", MISSING if file in base else ADDED))
    return outcomes


def largest_difference(base: np.ndarray, here: np.ndarray) -> str:
    """Says how far two arrays differ: shape and type, or the largest difference, or the number of values."""
    if (base.shape, base.dtype.kind) != (here.shape, here.dtype.kind):
        return f"{base.dtype}{list(base.shape)} became {here.dtype}{list(here.shape)}"
    if base.dtype.kind == "f" or (base.dtype.kind in "iu" and base.dtype.itemsize > 1):
        wide = np.float64 if base.dtype.kind == "f" else object  # Python's integers do not overflow
        gaps = np.abs(base.astype(wide) - here.astype(wide))
        gaps = np.where(np.isnan(base) & np.isnan(here), 0, gaps) if wide is np.float64 else gaps
        return f"{np.max(gaps):.3g}" if gaps.size else "type"
    return f"{np.count_nonzero(base != here)} of {base.size} values"


def _compare_files(file: str, base: Contents, here: Contents) -> list[Outcome]:
    outcomes = [_compare_values(file, name, base[name], here[name]) for name in base if name in here]
    missing = {name: content for name, content in base.items() if name not in here}
    added = {name: content for name, content in here.items() if name not in base}
    for old, content in list(missing.items()):
        new = _same_values(content, added)
        if new:
            outcomes.append(Outcome(file, f"{old} (now {new})", SAME, content.digest, content.digest))
            del missing[old], added[new]
    return [*outcomes,
            *(Outcome(file, name, MISSING, base=one.digest, counts=not one.optional) for name, one in missing.items()),
            *(Outcome(file, name, ADDED, here=one.digest, counts=not one.optional) for name, one in added.items())]


def _compare_values(file: str, name: str, base: Content, here: Content) -> Outcome:
    if base.digest == here.digest:
        return Outcome(file, name, SAME, base.digest, here.digest)
    return Outcome(file, name, DIFFERENT, base.digest, here.digest, largest_difference(base.values, here.values))


def _same_values(content: Content, candidates: Contents) -> str | None:
    """Returns the first candidate with the values of a content whose name may change."""
    if not content.movable:
        return None
    return next((name for name, one in candidates.items() if one.movable and one.digest == content.digest), None)


def failures(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Returns the outcomes that mean that the commits differ."""
    return [outcome for outcome in outcomes if outcome.fails]
