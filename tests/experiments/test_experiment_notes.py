"""Files that several commands share: recorded costs, the ledger of test evaluations, the lock."""

import os
import shutil
from pathlib import Path

import pytest
from processes import start

from tfrs_pretrain.artifacts import read_optional_json
from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.evaluation_ledger import EvaluationLedger
from tfrs_pretrain.experiments.output_lock import locked
from tfrs_pretrain.experiments.piece_costs import PieceCosts
from tfrs_pretrain.experiments.pieces import Piece


def test_wall_seconds_add_up_over_commands(tmp_path, monkeypatch):
    clock = iter([100.0, 107.0, 500.0, 502.0, 503.0])
    monkeypatch.setattr("tfrs_pretrain.experiments.piece_costs.time.monotonic", lambda: next(clock))
    one, two = (Piece("logs", name, {}, work=work) for name, work in (("one", 1.0), ("two", 3.0)))
    PieceCosts(tmp_path).add(one, 5.0, 10)
    again = PieceCosts(tmp_path)
    again.add(two, 11.0, 30)
    assert PieceCosts(tmp_path).wall_seconds == 7.0 + 2.0
    assert again.seconds([one, two]) == 16.0
    assert again.peak_rss_bytes() == 30
    assert again.estimate([Piece("logs", "three", {}, work=2.0)]) == 2 * (5 + 11) / (1 + 3)
    assert again.estimate([Piece("ranker", "four", {})]) is None


def test_estimates_use_the_seconds_per_work_of_each_kind(tmp_path):
    costs = PieceCosts(tmp_path)
    assert costs.peak_rss_bytes() == 0
    assert costs.estimate([]) == 0.0
    costs.add(Piece("logs", "l", {}, work=2.0), 8.0, 50)
    costs.add(Piece("ranker", "r", {}, work=5.0), 5.0, 20)
    assert costs.estimate([Piece("logs", "a", {}, work=3.0), Piece("ranker", "b", {}, work=4.0)]) == 3 * 4 + 4 * 1
    assert costs.seconds([Piece("logs", "l", {}), Piece("ranker", "unknown", {})]) == 8.0
    assert costs.peak_rss_bytes() == 50


def test_a_repeated_piece_replaces_its_record(tmp_path):
    costs, piece = PieceCosts(tmp_path), Piece("logs", "l", {})
    costs.add(piece, 8.0, 50)
    costs.add(piece, 3.0, 10)
    assert PieceCosts(tmp_path).seconds([piece]) == 3.0


def test_the_ledger_counts_distinct_settings_over_commands(tmp_path):
    ledger = EvaluationLedger(tmp_path)
    assert ledger.count("warm") == 0
    for arm, digest in (("warm", "a"), ("warm", "b"), ("warm", "a"), ("cold", "a")):
        ledger.add(arm, digest)
    assert (ledger.count("warm"), ledger.count("cold")) == (2, 1)
    again = EvaluationLedger(tmp_path)
    again.add("cold", "c")
    assert (again.count("warm"), again.count("cold")) == (2, 2)
    assert read_optional_json(tmp_path / "test_evaluations.json") == {"warm": ["a", "b"], "cold": ["a", "c"]}


@pytest.mark.parametrize(("record", "name"), [
    (PieceCosts, "costs.json"), (EvaluationLedger, "test_evaluations.json")])
@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_file_is_refused(tmp_path, record, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=f"{name}' .*remove it"):
        record(tmp_path)


def test_a_locked_output_is_refused_until_its_process_ends(tmp_path):
    with locked(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} works in"), locked(tmp_path):
        pass
    holder = start([Path(__file__).with_name("lock_holder.py"), tmp_path])
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(UserError, match=f"process {holder.pid} works in"), locked(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    shutil.rmtree(tmp_path)
