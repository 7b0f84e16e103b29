"""Tables of an embeddings artifact and of neighbours for the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tfrs_pretrain.interop.neighbors import Neighbors


def show_info(info: Mapping[str, Any], console: Console) -> None:
    """Prints the tables, and how they were trained."""
    table = Table("table", "ids", "type", "dim", "shared rows", "free rows", "size", "median count", "median norm",
                  title=f"embeddings {info['folder']}, trained on {info['window']}", title_justify="left")
    for name, entry in info["tables"].items():
        table.add_row(name, f"{entry['ids']:,}", entry["dtype"], str(entry["dim"]), f"{entry['shared_rows']:,}",
                      f"{entry['free_rows']:,}", f"{entry['bytes'] / 1e6:.1f} MB", _number(entry["median_count"]),
                      _number(entry["median_norm"]))
    console.print(table)
    losses = " → ".join(f"{loss:.3f}" for loss in info["heldout_loss"])
    console.print(f"compared by {info['similarity']}; held-out loss by epoch: {losses}", highlight=False,
                  soft_wrap=True)


def show_neighbors(found: Neighbors, console: Console) -> None:
    """Prints the neighbours of one id."""
    table = Table("", "id", found.similarity, "count", title=f"{found.id} (count {found.count:,})",
                  title_justify="left")
    for number, entry in enumerate(found.neighbors, start=1):
        table.add_row(str(number), Text(str(entry["id"])), f"{entry['similarity']:.4f}", f"{entry['count']:,}")
    console.print(table)


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:,.4g}"
