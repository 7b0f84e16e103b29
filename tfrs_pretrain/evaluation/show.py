"""Terminal tables of evaluations and promotions; they fit narrow terminals too."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tfrs_pretrain.evaluation.comparison import ALL, Difference, Estimate, PartResult
from tfrs_pretrain.evaluation.evaluate import AGAINST, MODEL, Evaluation
from tfrs_pretrain.evaluation.promotion import Check, Promotion
from tfrs_pretrain.metrics.ranking import LOWER_IS_BETTER

DASH = "—"
NARROW = 76  # columns: below this width the two ends of an interval are on separate lines
SLICE_METRICS = ("auc", "log_loss")


def show_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print an evaluation; the interval is below each value."""
    whole = evaluation.parts[0].part
    for name, source in evaluation.models.items():
        version = f" version {source['version']}" if "version" in source else ""
        console.print(Text.assemble((f"{name}: ", "dim"), f"{source['path']} ({source['arm']}{version})"))
    console.print(Text(f"{evaluation.split}: {whole.impressions:,} impressions, {whole.positives:,} positive, "
                       f"{whole.users:,} users; {100 * evaluation.resampling.confidence:g} % intervals from "
                       f"{evaluation.resampling.replicates:,} draws of users", style="dim"))
    narrow = console.width < NARROW
    console.print(_metrics(evaluation.parts[0], evaluation.is_comparison, narrow))
    for slicing in dict.fromkeys(result.part.slicing for result in evaluation.parts[1:]):
        parts = [result for result in evaluation.parts if result.part.slicing == slicing]
        console.print(_slices(slicing, parts, evaluation.is_comparison, narrow))
    _show_notes(evaluation.notes, console)


def show_promotion(promotion: Promotion, console: Console) -> None:
    """Print each check of a promotion with its numbers, and the verdict."""
    for name, source in promotion.models.items():
        console.print(Text.assemble((f"{name}: ", "dim"), f"{source['path']} ({source['arm']})"))
    table = _table("", "check", "required", "found")
    for check in promotion.checks:
        sign = {True: Text("✓", "green"), False: Text("✗", "red"), None: Text("·", "dim")}[check.passed]
        where = "" if check.slice == ALL else f" on {check.slice}"
        table.add_row(sign, Text(f"{_words(check.metric)}{where}"), _required(check), _found(check, console))
    console.print(table)
    _show_notes(promotion.notes, console)
    failed = sum(check.passed is False for check in promotion.checks)
    undecided = sum(check.passed is None for check in promotion.checks)
    text = Text(promotion.verdict, style="bold red" if failed else "bold green")
    if failed:
        text.append(f": {failed} of {len(promotion.checks)} checks failed", style="not bold default")
    if undecided:
        text.append(f"; {undecided} could not be checked, because there is no live model", style="not bold default")
    console.print(text)


def _show_notes(notes: Sequence[str], console: Console) -> None:
    for note in notes:
        console.print(Text(f"note: {note}", style="yellow"))


def _required(check: Check) -> str:
    if check.kind == "min_impressions":
        return f"at least {check.limit:,}"
    if check.kind == "non_inferior":
        return f"within {check.limit:g} of live"
    return f"{'at least' if check.kind == 'min' else 'at most'} {check.limit:g}"


def _found(check: Check, console: Console) -> Text:
    value, low, high = (check.numbers.get(name) for name in ("value", "low", "high"))
    if check.kind == "min_impressions":
        return Text(f"{value:,}")
    return _cell({"value": value, "low": low, "high": high}, console.width < NARROW,
                 "+" if check.kind == "non_inferior" else "")


def _metrics(whole: PartResult, compared: bool, narrow: bool) -> Table:
    """Every defined metric of all impressions, one a line."""
    table = _table("metric", MODEL, *((AGAINST, "diff", "p") if compared else ()))
    for name, estimate in whole.models[MODEL].items():
        if estimate["value"] is None:
            continue
        cells: list[str | Text] = [_words(name), _cell(estimate, narrow)]
        if compared:
            difference = whole.differences[MODEL][name]
            cells += [_cell(whole.models[AGAINST][name], narrow), _difference(name, difference, narrow),
                      _p(difference["p"])]
        table.add_row(*cells)
    return table


def _slices(slicing: str, parts: Sequence[PartResult], compared: bool, narrow: bool) -> Table:
    """SLICE_METRICS of every part, one part a line; in a narrow terminal one metric of a part a line."""
    headings = [MODEL, "diff"] if compared else [MODEL]
    if not narrow:
        headings = [heading for name in SLICE_METRICS for heading in ([_words(name), *headings[1:]])]
    table = _table(_words(slicing), "metric" if narrow else "impressions", *headings)
    for result in parts:
        cells = {name: _part_cells(result, name, compared, narrow) for name in SLICE_METRICS}
        title, count = Text(result.part.name), f"{result.part.impressions:,}"
        if not narrow:
            table.add_row(title, count, *(cell for line in cells.values() for cell in line))
            continue
        for name, line in cells.items():
            first = name == SLICE_METRICS[0]
            table.add_row(title.append(f"\n{count}", "dim") if first else "", _words(name), *line)
    return table


def _part_cells(result: PartResult, name: str, compared: bool, narrow: bool) -> list[Text]:
    value = _cell(result.models[MODEL][name], narrow)
    return [value, _difference(name, result.differences[MODEL][name], narrow)] if compared else [value]


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1), collapse_padding=True, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        left = not number or heading == "check"
        # Folding loses no text in a narrow terminal; the minimum width prevents a number from being broken.
        table.add_column(heading, justify="left" if left else "right", overflow="fold",
                         min_width={"": 1, "p": 5}.get(heading, 7))
    return table


def _cell(estimate: Estimate, narrow: bool, sign: str = "") -> Text:
    if estimate["value"] is None:
        return Text(DASH)
    low, high, between = estimate["low"], estimate["high"], "\n" if narrow else " "
    ends = DASH if low is None or high is None else f"{low:{sign}.4f}{between}{high:{sign}.4f}"
    return Text.assemble(f"{estimate['value']:{sign}.4f}\n", (ends, "dim"))


def _difference(name: str, difference: Difference, narrow: bool) -> Text:
    """The cell of a difference, coloured if its interval excludes 0."""
    cell, low, high = _cell(difference, narrow, "+"), difference["low"], difference["high"]
    if low is not None and high is not None and (low > 0 or high < 0) and name != "calibration":
        cell.stylize("green" if (low > 0) != (name in LOWER_IS_BETTER) else "red", 0, cell.plain.index("\n"))
    return cell


def _p(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"


def _words(name: str) -> str:
    return {ALL: ALL, "auc": "AUC", "gauc": "GAUC"}.get(name, name.replace("_", " "))
