"""Tables of arms: what test says, what was changed, how they were trained and chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.reporting.tables.cells import Cell, Table, arm_cell, table
from tfrs_pretrain.reporting.text.findings import interval_words, verdict_words
from tfrs_pretrain.reporting.text.formats import DASH, count, duration, number, settings_words, signed, words


def arms(results: Mapping[str, Any]) -> Table:
    """Test metrics of every arm with differences to the baseline."""
    compared = {entry["arm"]: entry for entry in results["comparisons"] if entry["against"] == results["baseline"]}
    rows: list[list[str | Cell]] = []
    for name, arm in results["arms"].items():
        if "test" not in arm:
            rows.append([arm_cell(results, name), *[DASH] * 4, "did not finish", *[DASH] * 4])
            continue
        auc, log_loss, gauc = ((_metric(arm["test"][metric]), _change(compared.get(name), metric))
                               for metric in ("auc", "log_loss", "gauc"))
        rows.append([arm_cell(results, name), *auc, *log_loss, verdict_words(compared.get(name)), *gauc,
                     number(arm["test"]["calibration"]["mean"], 3),
                     number(arm["test"]["normalized_entropy"]["mean"])])
    return table(["arm", "#AUC", "#difference", "#log loss", "#difference", "AUC, log loss", "#GAUC", "#difference",
                  "#calibration", "#normalized entropy"], rows)


def twins(results: Mapping[str, Any]) -> Table | None:
    """Distilled arms against the same arms without a teacher; None where there are none."""
    entries = [entry for entry in results["comparisons"] if entry["against"] != results["baseline"]]
    rows: list[list[str | Cell]] = [
        [arm_cell(results, entry["arm"]), words(entry["against"]),
         *(_change(entry, metric) for metric in ("auc", "log_loss", "gauc")), verdict_words(entry)]
        for entry in entries]
    return table(["arm", "against", "#AUC", "#log loss", "#GAUC", "AUC, log loss"], rows) if rows else None


def slices(results: Mapping[str, Any], cut: str) -> Table | None:
    """AUC of the arms shown first in each bucket, with differences to the baseline; None where there is no such cut."""
    shown = [results["baseline"], *(name for name in results["shown"] if name != results["baseline"])]
    first = results["arms"][shown[0]]["slices"].get(cut)
    if not first:
        return None
    compared = {entry["arm"]: entry["slices"].get(cut, []) for entry in results["comparisons"]
                if entry["against"] == results["baseline"]}
    rows: list[list[str | Cell]] = []
    for place, part in enumerate(first):
        cells: list[str | Cell] = []
        for name in shown:
            value = number(results["arms"][name]["slices"][cut][place]["auc"])
            change = compared[name][place]["auc"] if name in compared else None
            notes = [signed(change["value"]), *interval_words(change)] if change and change["value"] is not None else []
            cells.append(Cell(value, notes))
        rows.append([part["slice"], count(part["impressions"]), count(part["positives"]), *cells])
    return table([words(cut.partition("_")[0]) + "'s engagements", "#impressions", "#positive",
                  *(f"#AUC {words(name)}" for name in shown)], rows)


def training(results: Mapping[str, Any]) -> Table:
    """How each arm was trained and what validation says."""
    rows: list[list[str | Cell]] = []
    for name, arm in results["arms"].items():
        if "test" in arm:
            run = arm["runs"][0]
            best = f", best {run['best_epoch']}" if run["best_epoch"] != run["epochs"] else ""
            rows.append([arm_cell(results, name), starts_from(arm), teacher(arm),
                         ", ".join(map(words, arm["remedies"])) or DASH, f"{run['epochs']}{best}",
                         number(run["training_loss"]), number(arm["validation"]["auc"]["mean"]),
                         number(arm["validation"]["log_loss"]["mean"]), count(arm["test_evaluations"]),
                         count(arm["examples_per_second"]), duration(arm["seconds"])])
    return table(["arm", "starts from", "teacher", "remedies", "#epochs", "#training loss", "#validation AUC",
                  "#validation log loss", "#settings tested", "#impressions/s", "#time a run"], rows)


def settings(results: Mapping[str, Any]) -> Table:
    """What each arm changes in the configuration."""
    return table(["arm", "settings", "seeds"], [
        [arm_cell(results, name), settings_words(arm["settings"]), ", ".join(map(str, arm["seeds"])) or DASH]
        for name, arm in results["arms"].items()])


def trials(results: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """Per arm that was chosen from candidates: each with what validation said; what all share is left out."""
    return [(name, table(["candidate", "#validation AUC", "#validation log loss"], [
        [Cell(settings_words(settings), badge="chosen" if trial["chosen"] else None),
         number(trial["validation"].get("auc")), number(trial["validation"].get("log_loss"))]
        for trial, settings in zip(arm["trials"], _varied(arm["trials"]), strict=True)]))
        for name, arm in results["arms"].items() if arm["trials"]]


def starts_from(arm: Mapping[str, Any]) -> str:
    """How the ID tables are transferred, in words: one for both, or a word for each."""
    kinds = {space: words(kind) for space, kind in arm["transfer"].items()}
    alike = len(set(kinds.values())) == 1
    return next(iter(kinds.values())) if alike else ", ".join(f"{space}: {kind}" for space, kind in kinds.items())


def teacher(arm: Mapping[str, Any]) -> str:
    """Teacher of an arm in words: the layers of an online one, or the path of a fixed one."""
    settings = arm["teacher"]
    if not settings:
        return DASH
    source = settings["teacher"]
    who = source["path"] if source["kind"] == "fixed" else "-".join(str(units) for units in source["hidden"])
    return f"{who}, weight {settings['weight']}"


def _varied(trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Settings of each trial that not all trials share."""
    settings = [trial["settings"] for trial in trials]
    return [{key: value for key, value in one.items() if any(other.get(key) != value for other in settings)}
            for one in settings]


def _metric(metric: Mapping[str, Any]) -> Cell:
    return Cell(number(metric["mean"]), [f"±{number(metric['sd'])}"] if metric["sd"] is not None else (),
                strong=True)


def _change(entry: Mapping[str, Any] | None, metric: str) -> Cell:
    if entry is None:
        return Cell(DASH)
    return Cell(signed(entry[metric]["value"]), interval_words(entry[metric]))
