"""What people see of a validation."""

import io

import pytest
from rich.console import Console

from beam_pipelines.validation import report as report_module
from beam_pipelines.validation.report import print_report


def _check(threshold: str, value: float, limit: float | None, **changes) -> dict:
    return {"threshold": threshold, "value": value, "limit": limit, "split": "", "column": "", "detail": "",
            "violated": limit is not None and value > limit} | changes


REPORT = {
    "splits": {"dataset": {"pairs/train": {"examples": 12345, "columns": {
        "query": {"oov": 1, "values": 8}, "candidate": {"oov": 0, "values": 0}}},
        "impressions/test": {"examples": 7, "columns": {"label": {"mean": 0.125}, "user": {"oov": 0, "values": 7}}}}},
    "checks": [_check("max_psi", 0.3, 0.25, split="impressions/test", column="price"),
               _check("max_psi", 0.1, 0.25, split="impressions/train", column="dwell"), _check("max_ks", 0, None)]}


@pytest.fixture
def printed(monkeypatch):
    def show(violations: list[dict]) -> str:
        console = Console(file=io.StringIO(), width=120)
        monkeypatch.setattr(report_module, "console", console)
        print_report(REPORT | {"violations": violations})
        return console.file.getvalue()

    return show


def _row(text: str, start: str) -> list[str]:
    [line] = [line for line in text.splitlines() if line.split("│")[1:2] and line.split("│")[1].strip() == start]
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_splits_are_listed_with_rates(printed):
    text = printed([])
    assert _row(text, "pairs/train") == ["pairs/train", "dataset", "12,345", "-", "12.50%", "0.00%"]
    assert _row(text, "impressions/test") == ["impressions/test", "dataset", "7", "0.125", "0.00%", "-"]


def test_only_the_worst_value_of_each_check_is_listed(printed):
    text = printed([])
    assert _row(text, "max_psi") == ["max_psi", "0.3", "0.25", "impressions/test price"]
    assert _row(text, "max_ks") == ["max_ks", "0", "-", ""]
    assert "all checks passed" in text


def test_each_violation_has_a_line_with_place_and_detail(printed):
    text = printed([REPORT["checks"][0], _check("max_damaged_files", 2, 0, detail="a: cut"),
                    _check("max_unknown_rows", 1, 0, split="pairs/train")])
    assert "✗ max_psi: 0.3 > 0.25 in impressions/test price\n" in text
    assert "✗ max_damaged_files: 2 > 0 (a: cut)\n" in text
    assert "✗ max_unknown_rows: 1 > 0 in pairs/train\n" in text
    assert "all checks passed" not in text
