"""Tables and sentences of a stream's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfrs_pretrain.evaluation.power import SEEDS
from tfrs_pretrain.evaluation.verdict import BETTER, WORSE
from tfrs_pretrain.reporting.tables.table import Cell, Table, make_table
from tfrs_pretrain.reporting.text.formats import (
    DASH,
    count,
    duration,
    metric_name,
    number,
    percent,
    settings,
    signed,
    spaced,
)

METRICS = ("auc", "log_loss")
SLICINGS = {"item_age": "windows since the item was admitted", "items": "items in the vocabulary",
            "users": "users in the vocabulary", "item_frequency": "engagements of the item"}


def stream_tables(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return name -> table, and ``slices``: slicing -> table."""
    return {"result": result_table(results), "windows": _windows(results), "targets": _targets(results),
            "regret": _regret(results), "drift": _drift(results), "cost": _cost(results),
            "settings": _settings(results), "power": power_table(results["power"]),
            "slices": {title: _slices(results, name) for name, title in SLICINGS.items() if _has_slice(results, name)}}


def headline(results: Mapping[str, Any]) -> str:
    """Say which arm is best over the later windows and whether the difference is more than chance."""
    entries = {name: entry["auc"]["later"] for name, entry in results["comparisons"].items() if entry["auc"]["later"]}
    if not entries:
        return "No arm is compared with the baseline"
    name = max(entries, key=lambda each: entries[each]["value"])
    entry = entries[name]
    text = f"{spaced(name)}: AUC {signed(entry['value'])} against {spaced(results['baseline'])}"
    later = f"over {entry['num_windows']} windows"
    if entry["verdict"] not in (BETTER, WORSE):
        return f"{text} {later}, no measurable difference"
    return f"{text} {later}, {entry['verdict']} in {entry['better_windows']} of them on its own"


def result_table(results: Mapping[str, Any]) -> Table:
    """Return one row per arm: means over the later windows and the differences with both tests."""
    rows: list[list[str | Cell]] = []
    for name, arm in results["arms"].items():
        entry = results["comparisons"].get(name)
        cells = [_difference(entry[metric]["later"]) if entry else Cell(DASH) for metric in METRICS]
        rows.append([_arm_cell(results, name), number(arm["later"].get("auc")), number(arm["later"].get("log_loss")),
                     *cells, _better(entry)])
    return make_table(["arm", "#AUC", "#log loss", "#AUC difference", "#log loss difference", "#windows better"], rows)


def power_table(power: Mapping[str, Any]) -> Table | None:
    """Return what further seeds could show; None without two seeds."""
    known = {metric: entry for metric, entry in power.items() if entry}
    if not known:
        return None
    return make_table(["seeds", *(f"#{metric_name(metric)}" for metric in known)], [
        [str(seeds), *(number(entry["detectable"][str(seeds)]) for entry in known.values())] for seeds in SEEDS])


def _arm_cell(results: Mapping[str, Any], name: str) -> Cell:
    failed = len(results["arms"][name]["failures"])
    return Cell(spaced(name), [f"{failed} failed"] if failed else [], arm=name,
                badge="baseline" if name == results["baseline"] else None)


def _difference(later: Mapping[str, Any] | None) -> Cell:
    if later is None:
        return Cell(DASH)
    notes = [f"{what} {_ends(later[key]['interval'])}, p {_p(later[key]['p'])}"
             for key, what in (("windows", "windows"), ("seeds", "seeds"))]
    return Cell(signed(later["value"]), [*notes, f"{later['verdict']}, p corrected {_p(later['p_corrected'])}"],
                strong=later["verdict"] in (BETTER, WORSE))


def _better(entry: Mapping[str, Any] | None) -> str:
    later = entry and entry["auc"]["later"]
    return f"{later['better_windows']} of {later['num_windows']}" if later else DASH


def _ends(interval: Sequence[float] | None) -> str:
    return DASH if interval is None else f"{signed(interval[0])} … {signed(interval[1])}"


def _p(value: float | None) -> str:
    return DASH if value is None else "<.001" if value < 0.001 else f"{value:.3f}"


def _windows(results: Mapping[str, Any]) -> Table:
    names = list(results["comparisons"])
    return make_table(["window", "from", "#impressions", f"#{spaced(results['baseline'])}",
                       *(f"#{spaced(name)}" for name in names)], [
        [Cell(str(window["number"]), badge="choosing" if window["choosing"] else None), window["start"],
         count(window["impressions"]), number(results["arms"][results["baseline"]]["windows"][index]["auc"]["mean"]),
         *(_of_window(results["comparisons"][name]["auc"]["windows"][index]) for name in names)]
        for index, window in enumerate(results["judged"])])


def _of_window(difference: Mapping[str, Any]) -> Cell:
    return Cell(signed(difference["value"]), [_ends(difference["both"])] if difference["both"] else [])


def _targets(results: Mapping[str, Any]) -> Table | None:
    found = {name: entry["targets"] for name, entry in results["comparisons"].items() if entry["targets"]}
    if not found:
        return None
    return make_table(["arm", "#impressions needed", "#by seed", "#reached"], [
        [_arm_cell(results, name), _share(entry["median"]), _range(entry["by_seed"]), percent(entry["reached"], 0)]
        for name, entry in found.items()])


def _share(value: float | None) -> str:
    return "never in half" if value is None else percent(value, 0)


def _range(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return DASH
    return f"{percent(min(known), 0)} … {percent(max(known), 0) if len(known) == len(values) else 'never'}"


def _regret(results: Mapping[str, Any]) -> Table:
    regret = results["regret"]
    return make_table(["arm", "#against baseline", f"#against {spaced(regret['best'])}"], [
        [_arm_cell(results, name), *(_beyond(entry[against]) for against in ("baseline", "best"))]
        for name, entry in regret["arms"].items()])


def _beyond(entry: Mapping[str, Any] | None) -> Cell:
    if entry is None:
        return Cell(DASH)
    ends = [f"{signed(entry['seeds'][0], 1)} … {signed(entry['seeds'][1], 1)}"] if entry["seeds"] else []
    return Cell(signed(entry["by_window"][-1], 1), ends)


def _drift(results: Mapping[str, Any]) -> Table | None:
    spaces = sorted({space for window in results["judged"] for space in window["vocabulary"]})
    if not spaces:
        return None
    return make_table(["trained on window", *(f"#{space}s {what}" for space in spaces for what in (
        "kept", "admitted", "evicted"))], [
        [str(window["number"] - 1), *(count(window["vocabulary"][space][what]) if space in window["vocabulary"]
                                      else DASH for space in spaces for what in ("kept", "admitted", "evicted"))]
        for window in results["judged"]])


def _cost(results: Mapping[str, Any]) -> Table:
    rows: list[list[str | Cell]] = []
    for name, arm in results["arms"].items():
        if arm["windows"]:
            parts = [[window[part] for window in arm["windows"]] for part in ("stage_one", "stage_two")]
            first, later = ([duration(sum(part[chosen]) / max(1, len(part[chosen]))) for part in parts]
                            for chosen in (slice(0, 1), slice(1, None)))
            rows.append([_arm_cell(results, name), first[0], first[1], later[0], later[1]])
    return make_table(["arm", "#first: Stage I", "#Stage II", "#later: Stage I", "#Stage II"], rows)


def _settings(results: Mapping[str, Any]) -> Table:
    return make_table(["arm", "settings", "#candidates", "#ever judged on later windows"], [
        [_arm_cell(results, name), settings(arm["settings"]), str(max(1, len(arm["trials"]))),
         DASH if arm["evaluations"] is None else str(arm["evaluations"])] for name, arm in results["arms"].items()])


def _has_slice(results: Mapping[str, Any], name: str) -> bool:
    return any(name in entry["auc"]["slices"] for entry in results["comparisons"].values())


def _slices(results: Mapping[str, Any], slicing: str) -> Table:
    names = list(results["comparisons"])
    parts = results["comparisons"][names[0]]["auc"]["slices"][slicing]
    return make_table(["slice", "#impressions", *(f"#{spaced(name)}" for name in names)], [
        [part["slice"], count(part["impressions"]), *(
            _slice_cell(results["comparisons"][name]["auc"]["slices"][slicing][index]) for name in names)]
        for index, part in enumerate(parts)])


def _slice_cell(part: Mapping[str, Any]) -> Cell:
    return Cell(signed(part["value"]), [_ends(part["seeds"])] if part["seeds"] else [])
