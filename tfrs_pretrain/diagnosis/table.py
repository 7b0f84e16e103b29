"""A diagnosis as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tfrs_pretrain.diagnosis.controls import BASE
from tfrs_pretrain.diagnosis.run import advice


def show(result: Mapping[str, Any], console: Console) -> None:
    """Prints each run's rise in held-out log loss at the border of epoch 1, the gap by frequency, and the advice."""
    console.print(Text("Held-out log loss across the border of epoch 1", style="italic"))
    table = Table(box=None)
    for name in ("run", "before", "rise at border", "at end of epoch 2", "of the rise"):
        table.add_column(name, justify="left" if name == "run" else "right")
    for name, run in result["controls"].items():
        share = run.get("share_of_rise")
        table.add_row(name, f"{run['before']:.4f}", f"{run['border']:+.4f} [{run['border_low']:+.4f}, "
                      f"{run['border_high']:+.4f}]", f"{run['end']:+.4f}",
                      "" if name == BASE or share is None else f"{share:.0%}")
    console.print(table)
    console.print(Text("Held-out less training log loss, by an id's training impressions", style="italic"))
    console.print(_gap(result["gap"]))
    for sentence in advice(dict(result)):
        console.print(Text(sentence), soft_wrap=True)


def _gap(rows: list[dict[str, Any]]) -> Table:
    epochs = sorted({row["epoch"] for row in rows})
    table = Table(box=None)
    for name in ("ids", "impressions", *(f"epoch {epoch}" for epoch in epochs)):
        table.add_column(name, justify="left" if name == "ids" else "right")
    found = {(row["ids"], row["training_impressions"], row["epoch"]): row["gap"] for row in rows}
    for ids, part in dict.fromkeys((row["ids"], row["training_impressions"]) for row in rows):
        gaps = [found[ids, part, epoch] for epoch in epochs]
        if any(gap is not None for gap in gaps):
            table.add_row(ids, part, *("" if gap is None else f"{gap:+.4f}" for gap in gaps))
    return table
