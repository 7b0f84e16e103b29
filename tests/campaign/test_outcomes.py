"""Outcomes are counted by kind, shown as a table and merged into a file."""

import json

import pytest
from outcomes import Outcomes, save, table


@pytest.fixture
def some():
    outcomes = Outcomes()
    for _ in range(1200):
        outcomes.held("flips")
    outcomes.lost("flips", "seed 3", "Traceback")
    outcomes.silent("inputs", "seed 4", "a row is missing")
    return outcomes


def test_trials_are_counted_by_outcome(some):
    assert some.counts() == {"flips": {"tried": 1201, "held": 1200, "lost": 1, "silent": 0},
                             "inputs": {"tried": 1, "held": 0, "lost": 0, "silent": 1}}


def test_a_failed_trial_fails_the_test_and_is_named(some):
    with pytest.raises(AssertionError, match=r"flips: 1 of 1201 trials did not hold\n  lost: seed 3: Traceback"):
        some.require_all_held("flips")


def test_no_trial_is_no_success():
    with pytest.raises(AssertionError, match="kills: 0 trials"):
        Outcomes().require_all_held("kills")


def test_a_missing_trial_fails_the_test(some):
    some.held("kills")
    some.require_all_held("kills")
    some.require_all_held("kills", tried=1)
    with pytest.raises(AssertionError, match="kills: 1 trials"):
        some.require_all_held("kills", tried=2)


def test_the_table_has_a_row_for_each_kind(some):
    assert table(some.counts()).splitlines() == [
        "| fault  |  tried |   held |   lost | silent |",
        "|--------|-------:|-------:|-------:|-------:|",
        "| flips  |  1,201 |  1,200 |      1 |      0 |",
        "| inputs |      1 |      0 |      0 |      1 |"]


def test_a_later_run_replaces_its_own_kinds_only(some, tmp_path):
    path = tmp_path / "results" / "campaign.json"
    save(path, some.counts())
    again = Outcomes()
    again.held("inputs")
    save(path, again.counts())
    assert json.loads(path.read_text()) == {"flips": {"tried": 1201, "held": 1200, "lost": 1, "silent": 0},
                                            "inputs": {"tried": 1, "held": 1, "lost": 0, "silent": 0}}
