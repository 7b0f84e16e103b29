"""Terminal tables of a diagnosis."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tfrs_pretrain.diagnosis.advice import advice
from tfrs_pretrain.diagnosis.controls import BASE
from tfrs_pretrain.diagnosis.diagnosis import Diagnosis
from tfrs_pretrain.diagnosis.generalization_gap import GapRow


def show_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Print each control's rise in held-out log loss after epoch 1, the gap by frequency, and the advice."""
    console.print(Text("Held-out log loss across the border of epoch 1", style="italic"))
    table = _table("run", "before", "rise at border", "at end of epoch 2", "of the rise")
    for name, control in diagnosis.controls.items():
        verdict, share = control.verdict, control.share_of_rise
        table.add_row(name, f"{verdict.before:.4f}", f"{verdict.border:+.4f} [{verdict.border_low:+.4f}, "
                      f"{verdict.border_high:+.4f}]", f"{verdict.end:+.4f}",
                      "" if name == BASE or share is None else f"{share:.0%}")
    console.print(table)
    console.print(Text("Held-out less training log loss, by an id's training impressions", style="italic"))
    console.print(_gap(diagnosis.gap))
    for sentence in advice(diagnosis):
        console.print(Text(sentence), soft_wrap=True)


def _gap(rows: Sequence[GapRow]) -> Table:
    epochs = sorted({row.epoch for row in rows})
    table = _table("ids", "impressions", *(f"epoch {epoch}" for epoch in epochs))
    gaps = {(row.ids, row.training_impressions, row.epoch): row.gap for row in rows}
    for ids, bucket in dict.fromkeys((row.ids, row.training_impressions) for row in rows):
        by_epoch = [gaps[ids, bucket, epoch] for epoch in epochs]
        if any(gap is not None for gap in by_epoch):
            table.add_row(ids, bucket, *("" if gap is None else f"{gap:+.4f}" for gap in by_epoch))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
