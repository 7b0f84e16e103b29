"""Write the summary of an experiment on several logs as JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrs_pretrain.artifacts import write_text

JSON_FILE, MARKDOWN_FILE = "summary.json", "summary.md"
DASH = "—"
METRICS = {"auc": "AUC", "log_loss": "log loss"}


def write_log_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write ``summary.json`` and ``summary.md``.

    Args:
      folder: output folder.
      summary: ``logs``: name -> ``summarize_log``; ``failures``: name -> reason; ``without_data``: names.
    """
    write_text(folder / JSON_FILE, json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(folder / MARKDOWN_FILE, _markdown(summary))


def log_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """Return one row for each log and arm: log, arm, test AUC, test log loss, both against the baseline."""
    return [[name, arm, *(_estimate(metrics[metric]) for metric in METRICS), _verdict(log, arm)]
            for name, log in summary["logs"].items() for arm, metrics in log["arms"].items()]


def target_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """Return one row for each log with a target: log, whether the arm loses, share of AUC and of log loss, reached."""
    targets = {name: log["target"] for name, log in summary["logs"].items() if log["target"]}
    return [[name, "yes" if target["loses"] else "no", *(_share(target["shares"][metric]) for metric in METRICS),
             _reached(target)] for name, target in targets.items()]


def target_heading(summary: Mapping[str, Any]) -> str | None:
    """Describe the target in a sentence; None without one."""
    target = next((log["target"] for log in summary["logs"].values() if log["target"]), None)
    if target is None:
        return None
    return (f"{target['arm']} must not lose to the baseline, and must reach {target['share']:.0%} of the gain of "
            f"{target['best']} where that gain is measurable")


LOG_HEADINGS = ("log", "arm", "test AUC", "test log loss", "AUC, log loss against the baseline")
TARGET_HEADINGS = ("log", "loses", "share of the gain in AUC", "in log loss", "reached")


def _markdown(summary: Mapping[str, Any]) -> str:
    parts = ["# Summary of all logs", "Means over seeds with 95 % intervals (Student's t), on test.",
             _table(LOG_HEADINGS, log_rows(summary))]
    if heading := target_heading(summary):
        parts += [f"{heading}.", _table(TARGET_HEADINGS, target_rows(summary))]
    parts += [f"Chosen on validation for {name}: {arm} = {_settings(settings)}."
              for name, log in summary["logs"].items() for arm, settings in log["settings"].items()]
    parts += [f"{name} failed: {reason}" for name, reason in summary["failures"].items()]
    parts += [f"{name} was left out: it needs --data {name}=FOLDER." for name in summary["without_data"]]
    return "\n\n".join(parts) + "\n"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _estimate(found: Mapping[str, float | None]) -> str:
    if found["mean"] is None:
        return DASH
    ends = "" if found["low"] is None else f" [{found['low']:.4f}, {found['high']:.4f}]"
    return f"{found['mean']:.4f}{ends}"


def _verdict(log: Mapping[str, Any], arm: str) -> str:
    return "baseline" if arm == log["baseline"] else ", ".join(log["verdicts"].get(arm, {}).values()) or DASH


def _reached(target: Mapping[str, Any]) -> str:
    if target["reached"] and all(share is None for share in target["shares"].values()):
        return "no gain was measurable"
    return {True: "yes", False: "no", None: "not measurable"}[target["reached"]]


def _share(share: float | None) -> str:
    return DASH if share is None else f"{share:.0%}"


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in settings.items()) or "defaults"
