"""Print the result of a race on the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tfrs_pretrain.reporting.text.formats import capitalized, duration, metric_name, number, signed


def show_tuning(result: Mapping[str, Any], console: Console) -> None:
    """Print each rung, what was left out, the time and the decision."""
    for index, rung in enumerate(result["rungs"], 1):
        count = len(rung["seeds"])
        table = Table("candidate", metric_name(result["metric"]), "gain", "next rung", box=None, title_justify="left",
                      title=f"rung {index}: {count} seed{'s' if count > 1 else ''}")
        for entry in rung["entries"]:
            table.add_row(Text(entry["name"]), number(entry["mean"]), signed(entry["gain"]),
                          "yes" if entry["kept"] else "")
        console.print(table)
        for name, reason in rung["left_out"].items():
            console.print(Text(f"left out: {name} ({reason})", style="dim"), soft_wrap=True)
    console.print(f"{duration(result['seconds'])} of {result['minutes']:g} minutes", highlight=False)
    console.print(Text(capitalized(result["decision"]["reason"]) + ".", style="bold"), soft_wrap=True)
