"""The summary that a stream prints when it finishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from tfrs_pretrain.artifact_names import REPORT_HTML
from tfrs_pretrain.cli.options import next_command, number
from tfrs_pretrain.cli.summary import show_power
from tfrs_pretrain.progress import console
from tfrs_pretrain.reporting.text.formats import DASH, signed


def summarize_stream(results: dict[str, Any], workdir: Path) -> None:
    """Prints the means of every arm over the later windows, and its difference from the baseline."""
    later = sum(not window["choosing"] for window in results["judged"])
    table = Table("arm", "AUC", "log loss", f"AUC against {results['baseline']}", "verdict", "windows better",
                  title=f"{later} judged windows, mean of {len(results['seeds'])} seeds", title_justify="left")
    for name, arm in results["arms"].items():
        entry = (results["comparisons"].get(name) or {}).get("auc", {}).get("later")
        cells = [signed(entry["value"]), entry["verdict"], f"{entry['better_windows']} of {entry['num_windows']}"] if (
            entry) else [DASH] * 3
        table.add_row(Text(name), *(number(arm["later"].get(metric)) for metric in ("auc", "log_loss")), *cells)
    console.print(table)
    show_power(results["power"])
    console.print(f"{results['seconds']['total']:.0f} s in total, peak memory {results['peak_rss_bytes'] / 1e9:.1f} GB",
                  highlight=False)
    next_command(f"python3 -m webbrowser {workdir / REPORT_HTML}")
