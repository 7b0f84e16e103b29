"""The report's tables, once for both HTML and Markdown: their cells are the same texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.evaluation.verdict import SAME
from tfrs_pretrain.reporting.curves import stage_one_label
from tfrs_pretrain.reporting.findings import interval_words
from tfrs_pretrain.reporting.formats import (
    DASH,
    count,
    duration,
    metric_name,
    number,
    settings_words,
    share,
    signed,
    size,
    words,
)

FLOAT32_BYTES = 4


@dataclasses.dataclass(frozen=True)
class Cell:
    """Text, with small print below it.

    Attributes:
      text: what it says.
      notes: lines of small print.
      arm: whose colour stands before it.
      badge: a word after it.
      strong: whether it stands out.
    """

    text: str
    notes: Sequence[str] = ()
    arm: str | None = None
    badge: str | None = None
    strong: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """Header and rows; columns whose header starts with "#" hold numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    @property
    def columns(self) -> list[tuple[str, bool]]:
        """Name of each column, and whether it holds numbers."""
        return [(name.removeprefix("#"), name.startswith("#")) for name in self.header]


def table(header: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> Table:
    """A table of texts and cells."""
    return Table(header, [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows])


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
        rows.append([arm_cell(results, name), *auc, *log_loss, _verdict(compared.get(name)), *gauc,
                     number(arm["test"]["calibration"]["mean"], 3),
                     number(arm["test"]["normalized_entropy"]["mean"])])
    return table(["arm", "#AUC", "#difference", "#log loss", "#difference", "AUC, log loss", "#GAUC", "#difference",
                  "#calibration", "#normalized entropy"], rows)


def twins(results: Mapping[str, Any]) -> Table | None:
    """Distilled arms against the same arms without a teacher; None where there are none."""
    entries = [entry for entry in results["comparisons"] if entry["against"] != results["baseline"]]
    rows: list[list[str | Cell]] = [
        [arm_cell(results, entry["arm"]), words(entry["against"]),
         *(_change(entry, metric) for metric in ("auc", "log_loss", "gauc")), _verdict(entry)] for entry in entries]
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
                         number(arm["validation"]["log_loss"]["mean"]), count(arm["test_looks"]),
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


def calibration(results: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """Per arm in the plot: its bins."""
    return [(name, table(["#mean prediction", "#share of positives", "#impressions"], [
        [number(one["score"]), number(one["rate"]), count(one["count"])] for one in bins]))
        for name, bins in results["calibration"].items() if bins]


def stage_one(results: Mapping[str, Any]) -> Table | None:
    """Per setting of Stage I: losses before, after, lowest, and recall at the end."""
    rows: list[list[str | Cell]] = []
    for setting in results["stage_one"].get("settings", []):
        epochs = setting["epochs"]
        cutoffs = sorted(int(key.partition("@")[2]) for key in epochs[-1] if key.startswith("recall@"))
        recall = f"recall@{cutoffs[-1]}" if cutoffs else ""
        rows.append([stage_one_label(setting), str(len(epochs) - 1), str(setting["kept_epoch"]),
                     number(epochs[0]["heldout_loss"], 3), number(epochs[-1]["heldout_loss"], 3),
                     number(epochs[-1].get(recall)), str(setting["seeds"]),
                     duration(setting["seconds"]), ", ".join(map(words, setting["arms"]))])
    return table(["setting", "#epochs", "#kept", "#held-out loss before", "#after", "#recall after", "#seeds",
                  "#time a seed", "used by"], rows) if rows else None


def stage_one_epochs(results: Mapping[str, Any]) -> Table | None:
    """Held-out loss by epoch, a row a setting: the numbers of the plot."""
    settings = results["stage_one"].get("settings", [])
    last = max((len(setting["epochs"]) for setting in settings), default=0)
    rows = [[stage_one_label(setting), *(number(epoch["heldout_loss"], 3) for epoch in setting["epochs"]),
             *[DASH] * (last - len(setting["epochs"]))] for setting in settings]
    return table(["held-out loss after epoch", *(f"#{epoch}" for epoch in range(last))], rows) if rows else None


def embedding_tables(results: Mapping[str, Any]) -> Table | None:
    """Tables of the first setting of Stage I."""
    found = results["stage_one"].get("settings", [])
    vocabularies = results["data"][0]["vocabularies"]
    rows = [[name, count(entry["shape"][0]), count(entry["shape"][1]),
             count(vocabularies.get(name, {}).get("oov_rows")),
             size(FLOAT32_BYTES * entry["shape"][0] * entry["shape"][1]), entry["vocabulary_digest"][:12]]
            for name, entry in (found[0]["tables"] if found else {}).items()]
    return table(["table", "#rows", "#columns", "#shared rows", "#memory", "vocabulary"], rows) if rows else None


def coverage(results: Mapping[str, Any]) -> Table | None:
    """Share of each ranking window that starts at a pretrained row: the same for every arm with the same dataset."""
    found: Mapping[str, Any] = next((arm["coverage"] for arm in results["arms"].values() if arm.get("coverage")), {})
    names = list(dict.fromkeys(name for shares in found.values() for name in sorted(
        shares, key=lambda key: (key.endswith("_ids"), key))))
    rows = [[split, *(share(shares.get(name)) for name in names)] for split in ("train", "validation", "test")
            for shares in [found.get(split)] if shares]
    return table(["window", *(f"#{_coverage_name(name)}" for name in names)], rows) if rows else None


def diagnosis(results: Mapping[str, Any]) -> Table | None:
    """The controls of a diagnosis."""
    if results["diagnosis"] is None:
        return None
    rows = [[name, number(control["before"]), signed(control["border"]),
             f"{signed(control['border_low'])} to {signed(control['border_high'])}", signed(control["end"]),
             share(control.get("share_of_rise"), 0), control["verdict"]]
            for name, control in results["diagnosis"]["controls"].items()]
    return table(["run", "#log loss before the border", "#rise right after it", "#95 % interval",
                  "#at the end of epoch 2", "#share of the rise", "verdict"], rows)


def purity(results: Mapping[str, Any]) -> Table | None:
    """Neighbour purity of each table beside chance."""
    drawn = results["embedding_map"]
    if drawn is None:
        return None
    rows = [[words(one["title"]), share(one["purity"]), share(drawn["chance"]), share(sum(one["explained"]))]
            for one in drawn["maps"]]
    return table(["item rows of", "#neighbour purity", "#chance", "#variance in the picture"], rows)


def arm_cell(results: Mapping[str, Any], name: str) -> Cell:
    """An arm's name with its colour, and whether it is the baseline or served."""
    exported = results["exported"] and results["exported"]["arm"] == name
    badge = "served" if exported else "baseline" if name == results["baseline"] else None
    return Cell(words(name), arm=name, badge=badge)


def starts_from(arm: Mapping[str, Any]) -> str:
    """How the ID tables are transferred, in words: one for both, or a word for each."""
    kinds = {space: words(kind) for space, kind in arm["transfer"].items()}
    alike = len(set(kinds.values())) == 1
    return next(iter(kinds.values())) if alike else ", ".join(f"{space}: {kind}" for space, kind in kinds.items())


def teacher(arm: Mapping[str, Any]) -> str:
    """Who teaches, in words: the layers of one that learns, or where a fixed one lies."""
    settings = arm["teacher"]
    if not settings:
        return DASH
    who = settings.get("teacher") or "-".join(str(units) for units in settings["hidden"])
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


def _verdict(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return DASH
    found = ["not measurable" if verdict == SAME else verdict
             for verdict in (entry[metric]["verdict"] for metric in ("auc", "log_loss"))]
    return found[0] if found[0] == found[1] else f"{metric_name('auc')} {found[0]}, log loss {found[1]}"


def _coverage_name(key: str) -> str:
    if key == "impressions":
        return "impressions, all rows"
    space, _, unit = key.rpartition("_")
    return f"distinct {space} ids" if unit == "ids" else f"{unit}, {space} row"
