"""An evaluation as people read it: tables that also fit a narrow terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tfrs_pretrain.evaluation.comparison import ALL
from tfrs_pretrain.evaluation.evaluate import AGAINST, MODEL
from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER

DASH = "—"
# Below this width the ends of an interval are below each other.
NARROW = 76
SHOWN_BY_SLICE = ("auc", "log_loss")


def show(result: Mapping[str, Any], console: Console) -> None:
    """Prints what ``evaluate`` returned; ends of intervals are below their value."""
    whole = result["parts"][0]
    for name, source in result["models"].items():
        version = f" version {source['version']}" if "version" in source else ""
        console.print(Text.assemble((f"{name}: ", "dim"), f"{source['path']} ({source['arm']}{version})"))
    confidence = f"{100 * result['resampling']['confidence']:g} %"
    console.print(Text(f"{result['split']}: {whole['impressions']:,} impressions, {whole['positives']:,} positive, "
                       f"{whole['users']:,} users; {confidence} intervals from {result['resampling']['replicates']:,} "
                       "draws of users", style="dim"))
    narrow = console.width < NARROW
    console.print(_metrics(whole, AGAINST in result["models"], narrow))
    for slicing in dict.fromkeys(part["slicing"] for part in result["parts"][1:]):
        parts = [part for part in result["parts"] if part["slicing"] == slicing]
        console.print(_slices(slicing, parts, AGAINST in result["models"], narrow))
    for note in result["notes"]:
        console.print(Text(f"note: {note}", style="yellow"))


def show_verdict(verdict: Mapping[str, Any], console: Console) -> None:
    """Prints each check of a promotion with its numbers, and the verdict."""
    for name, source in verdict["models"].items():
        console.print(Text.assemble((f"{name}: ", "dim"), f"{source['path']} ({source['arm']})"))
    table = _table("", "check", "asked", "found")
    for check in verdict["checks"]:
        sign = {True: Text("✓", "green"), False: Text("✗", "red"), None: Text("·", "dim")}[check["passed"]]
        where = "" if check["slice"] == ALL else f" on {check['slice']}"
        table.add_row(sign, Text(f"{_words(check['metric'])}{where}"), _asked(check), _found(check, console))
    console.print(table)
    for note in verdict["notes"]:
        console.print(Text(f"note: {note}", style="yellow"))
    failed = sum(check["passed"] is False for check in verdict["checks"])
    unjudged = sum(check["passed"] is None for check in verdict["checks"])
    text = Text(verdict["verdict"], style="bold red" if failed else "bold green")
    if failed:
        text.append(f": {failed} of {len(verdict['checks'])} checks failed", style="not bold default")
    if unjudged:
        text.append(f"; {unjudged} could not be judged, because there is no live model", style="not bold default")
    console.print(text)


def _asked(check: Mapping[str, Any]) -> str:
    if check["kind"] == "min_impressions":
        return f"at least {check['limit']:,}"
    if check["kind"] == "non_inferior":
        return f"within {check['limit']:g} of live"
    return f"{'at least' if check['kind'] == 'min' else 'at most'} {check['limit']:g}"


def _found(check: Mapping[str, Any], console: Console) -> Text:
    if check["kind"] == "min_impressions":
        return Text(f"{check['value']:,}")
    return _cell({"low": None, "high": None, **check}, console.width < NARROW,
                 "+" if check["kind"] == "non_inferior" else "")


def _metrics(whole: Mapping[str, Any], compared: bool, narrow: bool) -> Table:
    table = _table("metric", MODEL, *((AGAINST, "diff", "p") if compared else ()))
    for name, value in whole["models"][MODEL].items():
        if value["value"] is None:
            continue
        row: list[str | Text] = [_words(name), _cell(value, narrow)]
        if compared:
            difference = whole["differences"][MODEL][name]
            row += [_cell(whole["models"][AGAINST][name], narrow), _difference(name, difference, narrow),
                    _p(difference["p"])]
        table.add_row(*row)
    return table


def _slices(slicing: str, parts: list[Mapping[str, Any]], compared: bool, narrow: bool) -> Table:
    """A row a part; where the terminal is narrow, a row for each of its metrics."""
    values = [MODEL, "diff"] if compared else [MODEL]
    if not narrow:
        values = [heading for name in SHOWN_BY_SLICE for heading in ([_words(name), *values[1:]])]
    table = _table(_words(slicing), "metric" if narrow else "impressions", *values)
    for part in parts:
        cells = {name: _part_cells(part, name, compared, narrow) for name in SHOWN_BY_SLICE}
        title, count = Text(part["name"]), f"{part['impressions']:,}"
        if not narrow:
            table.add_row(title, count, *(cell for row in cells.values() for cell in row))
            continue
        for name, row in cells.items():
            table.add_row(title.append(f"\n{count}", "dim") if name == SHOWN_BY_SLICE[0] else "", _words(name), *row)
    return table


def _part_cells(part: Mapping[str, Any], name: str, compared: bool, narrow: bool) -> list[Text]:
    value = _cell(part["models"][MODEL][name], narrow)
    return [value, _difference(name, part["differences"][MODEL][name], narrow)] if compared else [value]


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1), collapse_padding=True, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        left = not number or heading == "check"
        # Folding loses nothing where the terminal is narrow, but a number must stay in one piece.
        table.add_column(heading, justify="left" if left else "right", overflow="fold",
                         min_width={"": 1, "p": 5}.get(heading, 7))
    return table


def _cell(value: Mapping[str, float | None], narrow: bool, sign: str = "") -> Text:
    if value["value"] is None:
        return Text(DASH)
    low, high, between = value["low"], value["high"], "\n" if narrow else " "
    ends = DASH if low is None or high is None else f"{low:{sign}.4f}{between}{high:{sign}.4f}"
    return Text.assemble(f"{value['value']:{sign}.4f}\n", (ends, "dim"))


def _difference(name: str, value: Mapping[str, float | None], narrow: bool) -> Text:
    cell, low, high = _cell(value, narrow, "+"), value["low"], value["high"]
    if low is not None and high is not None and (low > 0 or high < 0) and name != "calibration":
        cell.stylize("green" if (low > 0) != (name in LOWER_IS_BETTER) else "red", 0, cell.plain.index("\n"))
    return cell


def _p(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"


def _words(name: str) -> str:
    return {ALL: ALL, "auc": "AUC", "gauc": "GAUC"}.get(name, name.replace("_", " "))
