"""Tables of Stage II: how each arm was trained, its candidates, and the coverage by pretrained rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.reporting.tables.table import Cell, Table, arm_cell, make_table
from tfrs_pretrain.reporting.text import formats
from tfrs_pretrain.reporting.text.formats import DASH, count, duration, number, percent, spaced


def training(results: Mapping[str, Any]) -> Table:
    """Return one row per finished arm, with the epochs and the training loss of its first run."""
    rows: list[list[str | Cell]] = []
    for name, arm in results["arms"].items():
        if "test" not in arm:
            continue
        run = arm["runs"][0]
        best = f" (best {run['best_epoch']})" if run["best_epoch"] not in (None, run["epochs"]) else ""
        rows.append([arm_cell(results, name), transfer(arm), teacher(arm),
                     ", ".join(map(spaced, arm["remedies"])) or DASH, f"{run['epochs']}{best}",
                     number(run["training_loss"]), number(arm["validation"]["auc"]["mean"]),
                     number(arm["validation"]["log_loss"]["mean"]), count(arm["test_evaluations"]),
                     count(arm["examples_per_second"]), duration(arm["seconds"])])
    return make_table(["arm", "starts from", "teacher", "remedies", "#epochs", "#training loss", "#validation AUC",
                       "#validation log loss", "#settings tested", "#impressions/s", "#time per run"], rows)


def trials(results: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """Return, for each arm with several candidates, a table of the settings in which they differ."""
    return [(name, make_table(["candidate", "#validation AUC", "#validation log loss"], [
        [Cell(formats.settings(settings), badge="chosen" if trial["chosen"] else None),
         number(trial["validation"].get("auc")), number(trial["validation"].get("log_loss"))]
        for trial, settings in zip(arm["trials"], _distinct_settings(arm["trials"]), strict=True)]))
        for name, arm in results["arms"].items() if arm["trials"]]


def coverage(results: Mapping[str, Any]) -> Table | None:
    """Return the share of each ranking window that starts at a pretrained row, from the first arm with pretrained rows.
    """
    by_split: Mapping[str, Any] = next((arm["coverage"] for arm in results["arms"].values() if arm.get("coverage")), {})
    names = list(dict.fromkeys(name for shares in by_split.values() for name in sorted(
        shares, key=lambda key: (key.endswith("_ids"), key))))
    rows = [[split, *(percent(by_split[split].get(name)) for name in names)]
            for split in ("train", "validation", "test") if by_split.get(split)]
    return make_table(["window", *(f"#{_coverage_name(name)}" for name in names)], rows) if rows else None


def transfer(arm: Mapping[str, Any]) -> str:
    """Format the transfer of the ID tables: one kind for both, or one for each."""
    kinds = {space: spaced(kind) for space, kind in arm["transfer"].items()}
    if len(set(kinds.values())) == 1:
        return next(iter(kinds.values()))
    return ", ".join(f"{space}: {kind}" for space, kind in kinds.items())


def teacher(arm: Mapping[str, Any]) -> str:
    """Format an arm's teacher: the layers of an online one, or the path of a fixed one."""
    distillation = arm["teacher"]
    if not distillation:
        return DASH
    source = distillation["teacher"]
    name = source["path"] if source["kind"] == "fixed" else "-".join(str(units) for units in source["hidden"])
    return f"{name}, weight {distillation['weight']}"


def _distinct_settings(trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the settings of each trial that not all trials share."""
    every = [trial["settings"] for trial in trials]
    return [{key: value for key, value in settings.items() if any(other.get(key) != value for other in every)}
            for settings in every]


def _coverage_name(key: str) -> str:
    if key == "impressions":
        return "impressions, all rows"
    space, _, unit = key.rpartition("_")
    return f"distinct {space} ids" if unit == "ids" else f"{unit}, {space} row"
