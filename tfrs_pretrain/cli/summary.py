"""Summaries that commands print when they finish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from tfrs_pretrain.artifact_names import REPORT_HTML
from tfrs_pretrain.cli.options import next_command, number
from tfrs_pretrain.progress import console, print_warning
from tfrs_pretrain.reporting.text.differences import both_verdicts
from tfrs_pretrain.reporting.text.formats import metric_name


def summarize(results: dict[str, Any], workdir: Path) -> None:
    """Prints the test metrics of a study's arms, each the mean over its seeds."""
    seeds = len(results["seeds"])
    table = Table("arm", "test AUC", "log loss", "GAUC", f"AUC, log loss against {results['baseline']}",
                  title=f"Ranking on the test window{f', mean of {seeds} seeds' if seeds > 1 else ''}",
                  title_justify="left")
    compared = {entry["arm"]: entry for entry in results["comparisons"] if entry["against"] == results["baseline"]}
    for arm, result in results["arms"].items():
        metrics = [number(result.get(f"test_{name}")) for name in ("auc", "log_loss", "gauc")]
        table.add_row(Text(arm), *metrics, both_verdicts(compared.get(arm)) if "test" in result else "did not finish")
    console.print(table)
    show_power(results.get("power") or {})
    if line := (results["benefit"] or {}).get("line"):
        print_warning(line)
    if results["stage_one"]:
        losses = " → ".join(f"{loss:.3f}" for loss in results["stage_one"]["heldout_loss"])
        console.print(f"Stage I held-out loss by epoch: {losses}", highlight=False)
    console.print(f"{results['seconds']['total']:.0f} s in total, peak memory {results['peak_rss_bytes'] / 1e9:.1f} GB",
                  highlight=False)
    next_command(f"python3 -m webbrowser {workdir / REPORT_HTML}")


def show_power(power: dict[str, Any]) -> None:
    """Prints what a t test over more seeds could show, for each metric with two seeds or more."""
    for metric, entry in power.items():
        if entry:
            found = ", ".join(f"{seeds} seeds {value:.4f}" for seeds, value in entry["detectable"].items())
            console.print(f"difference of {metric_name(metric)} found with 80 % probability: {found}", style="dim",
                          highlight=False, soft_wrap=True)


def show_built(info: dict[str, Any]) -> None:
    """Prints how many rows of each log were read, written and left out, and how many ids stay, leave and are new."""
    for log, count in info["counts"].items():
        left_out = count["filtered_by"] | {f"rejected: {reason}": rows for reason, rows in count["rejected"].items()}
        sampled = [f"{count['sampled_negatives']:,} sampled negatives"] if "sampled_negatives" in count else []
        parts = [f"{count['read']:,} rows read", f"{count['written']:,} written", *sampled,
                 *(f"{num_rows:,} {reason}" for reason, num_rows in left_out.items())]
        console.print(Text(f"{log}: {', '.join(parts)}", style="dim"), soft_wrap=True)
    for name, split in info.get("splits", {}).items():
        shares = [f"{label} {share:.1%}" for label, share in split.get("missing_label_share", {}).items()]
        if shares:
            console.print(Text(f"{name}: {', '.join(shares)} of the impressions have no label", style="dim"),
                          soft_wrap=True)
    for name, changes in info.get("lifecycle", {}).items():
        left = [f"{changes[key]:,} {words}" for key, words in (
            ("reused", "of them in rows of other ids"), ("evicted", "lost their rows"), ("deleted", "were forgotten"))
                if changes[key]]
        text = ", ".join([f"{changes['kept']:,} ids keep their rows", f"{changes['admitted']:,} are new", *left])
        console.print(Text(f"vocabulary {name}: {text}", style="dim"), soft_wrap=True)
