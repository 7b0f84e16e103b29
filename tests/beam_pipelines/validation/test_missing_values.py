"""Shares of missing values, from literal statistics and manifests."""

import pytest

from beam_pipelines.validation.missing_values import add_missing_counts, missing_share


def test_counts_of_the_manifest_are_added_where_records_show_none():
    measured = {"columns": {"price": {"values": 8, "missing": 2, "mean": 1.0}, "place": {"values": 8, "missing": 0},
                            "tags": {"values": 3, "missing": 0}, "user": {"values": 8, "missing": 0}}}
    add_missing_counts(measured, {"examples": 8, "missing": {"price": 5, "place": 6, "tags": 7, "absent": 1}})
    shares = {name: missing_share(column) for name, column in measured["columns"].items()}
    assert shares == {"price": 0.25, "place": 0.75, "tags": 0.875, "user": None}


@pytest.mark.parametrize("split", [{"examples": 8}, {"examples": 0, "missing": {}}])
def test_without_counts_only_numbers_have_a_share(split):
    measured = {"columns": {"price": {"values": 8, "missing": 2, "mean": 1.0}, "place": {"values": 8, "missing": 0}}}
    add_missing_counts(measured, split)
    assert [missing_share(column) for column in measured["columns"].values()] == [0.25, None]


def test_a_split_without_impressions_has_no_share():
    assert missing_share({"values": 0, "missing": 0, "mean": 0.0}) is None
    assert missing_share({"values": 0, "missing": 0, "examples": 0}) is None
