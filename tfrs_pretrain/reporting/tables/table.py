"""Tables of text cells, the same for HTML and Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.reporting.text.formats import spaced


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
      text: content.
      notes: lines in small print below the text.
      arm: name of the arm whose colour precedes the text. None: no colour.
      badge: word after the text. None: no badge.
      strong: whether the text is emphasized.
    """

    text: str
    notes: Sequence[str] = ()
    arm: str | None = None
    badge: str | None = None
    strong: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """Header and rows; a header that starts with "#" marks a column of numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @property
    def columns(self) -> list[tuple[str, bool]]:
        """Name of each column, and whether it contains numbers."""
        return [(name.removeprefix("#"), name.startswith("#")) for name in self.header]


def make_table(header: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> Table:
    """Return a table in which texts became cells."""
    return Table(header, [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows])


def arm_cell(results: Mapping[str, Any], name: str) -> Cell:
    """Return an arm's name with its colour and the badge served or baseline."""
    is_served = results["exported"] and results["exported"]["arm"] == name
    badge = "served" if is_served else "baseline" if name == results["baseline"] else None
    return Cell(spaced(name), arm=name, badge=badge)
