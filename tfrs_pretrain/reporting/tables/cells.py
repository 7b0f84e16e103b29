"""What a table is: cells of text, the same for HTML and Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.reporting.text.formats import words


@dataclasses.dataclass(frozen=True)
class Cell:
    """Text, with small print below it.

    Attributes:
      text: what it says.
      notes: lines of small print.
      arm: whose colour stands before it.
      badge: a word after it.
      strong: whether it stands out.
    """

    text: str
    notes: Sequence[str] = ()
    arm: str | None = None
    badge: str | None = None
    strong: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """Header and rows; columns whose header starts with "#" hold numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @property
    def columns(self) -> list[tuple[str, bool]]:
        """Name of each column, and whether it holds numbers."""
        return [(name.removeprefix("#"), name.startswith("#")) for name in self.header]


def table(header: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> Table:
    """A table of texts and cells."""
    return Table(header, [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows])


def arm_cell(results: Mapping[str, Any], name: str) -> Cell:
    """An arm's name with its colour, and whether it is the baseline or served."""
    exported = results["exported"] and results["exported"]["arm"] == name
    badge = "served" if exported else "baseline" if name == results["baseline"] else None
    return Cell(words(name), arm=name, badge=badge)
