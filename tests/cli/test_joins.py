"""What is printed about a dataset's joins before any training."""

import copy

from tfrs_pretrain.cli.joins import show_joins

INFO = {
    "config": {"schema": {"window": "day"}, "windows": {
        "pretrain": {"start": 0, "end": 20}, "train": {"start": 20, "end": 28}, "validation": {"start": 28, "end": 30},
        "test": {"start": 30, "end": 34}}},
    "engagements_end": 17,
    "vocabularies": {"user": {"median_count": 38.0}, "item": {"median_count": 1.5}},
    "splits": {
        "pairs/train": {"examples": 9},
        "impressions/train": {"examples": 200, "missing": {"price": 50, "device": 0, "country": 200}, "coverage": {
            "pretrained_users": 1.0, "pretrained_items": 0.25, "pretrained_both": 0.2504, "items_table": 0.0}},
        "impressions/validation": {"examples": 5, "missing": {}, "coverage": {
            "pretrained_users": 0.5, "pretrained_items": 0.0004, "pretrained_both": 0.0, "items_table": 1.0}},
        "impressions/test": {"examples": 5, "missing": {}, "coverage": {
            "pretrained_users": 0.5, "pretrained_items": 0.2, "pretrained_both": 0.1, "items_table": 1.0}}},
}


def _shown(info: dict, capsys) -> list[str]:
    show_joins(info)
    lines = capsys.readouterr().out.splitlines()
    return [" ".join(line.replace("│", " ").replace("┃", " ").split()) for line in lines]


def test_coverage_evidence_age_and_missing_values_are_printed(capsys):
    lines = _shown(INFO, capsys)
    for line in ("share of impressions with train validation test", "pretrained user 100.0 % 50.0 % 50.0 %",
                 "pretrained item 25.0 % <0.1 % 20.0 %", "both pretrained 25.0 % 0.0 % 10.0 %",
                 "row in table items 0.0 % 100.0 % 100.0 %",
                 "engagements in the pretraining window: a median of 38 per user and 2 per item",
                 "steps of day from the last of them to the start of: train 3, validation 11, test 13",
                 "missing values in the training impressions: country 100.0 %, price 25.0 %"):
        assert line in lines
    assert not any("row in table users" in line for line in lines)


def test_ages_of_dated_windows_are_days(capsys):
    info = copy.deepcopy(INFO)
    info["config"]["windows"] = {name: {"start": f"2024-03-{start:02d}", "end": f"2024-03-{end:02d}"} for name, (
        start, end) in {"pretrain": (1, 5), "train": (5, 8), "validation": (8, 9), "test": (9, 10)}.items()}
    info["engagements_end"] = 1_709_553_600_000_000  # 2024-03-04 12:00 UTC
    assert "days from the last of them to the start of: train 0.5, validation 3.5, test 4.5" in _shown(info, capsys)


def test_datasets_of_earlier_versions_print_nothing(capsys):
    info = copy.deepcopy(INFO)
    for split in info["splits"].values():
        split.pop("coverage", None)
    assert _shown(info, capsys) == []
