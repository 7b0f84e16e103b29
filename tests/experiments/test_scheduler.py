"""The scheduler with fake workers: order, number of workers, failures, retries."""

import multiprocessing
import os
import signal
import threading
import time
from typing import ClassVar

import pytest

from tfrs_pretrain.experiments import scheduler
from tfrs_pretrain.experiments.piece_costs import PieceCosts
from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.experiments.workers import PIECES_PER_WORKER, PieceResult, Worker


class FakeWorker:
    """Finishes every piece at once, except those whose name starts with "bad", "dead" or "empty"."""

    every: ClassVar[list["FakeWorker"]] = []
    started: ClassVar[list[str]] = []

    def __init__(self, root, threads):
        self.root, self.threads, self.piece, self.done, self.ended = root, threads, None, 0, ""
        self.connection, self._other = multiprocessing.Pipe()
        self.every.append(self)

    @property
    def is_spent(self):
        return self.done >= PIECES_PER_WORKER

    def start(self, piece):
        self.piece = piece
        self.started.append(piece.name)
        if not piece.name.startswith(("bad", "dead", "empty")):
            (piece.folder(self.root)).mkdir(parents=True)
            (piece.folder(self.root) / "manifest.json").touch()
            (piece.folder(self.root) / "dataset_info.json").touch()
        self._other.send("result")

    def receive(self):
        self.connection.recv()
        piece = self.piece
        if piece.name.startswith("dead"):
            return None
        self.piece, self.done = None, self.done + 1
        return PieceResult("it diverged" if piece.name.startswith("bad") else None, 100)

    def exit_description(self):
        return "its process ended with code 7"

    def end(self):
        self.ended = "end"

    def terminate(self):
        self.ended = "terminate"

    def join(self):
        self.ended += " joined"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run pieces with fake workers and return the scheduler."""
    monkeypatch.setattr(scheduler, "Worker", FakeWorker)
    FakeWorker.every.clear()
    FakeWorker.started.clear()

    def running(*pieces, jobs=1, times=1):
        with scheduler.Scheduler(tmp_path, jobs, 3, PieceCosts(tmp_path)) as pool:
            for _ in range(times):
                pool.run(pieces)
        return pool

    return running


def test_dependencies_come_first_and_longer_pieces_before_shorter_ones(run):
    logs = Piece("logs", "l", {})
    short, long = (Piece("embeddings", name, {}, (logs,), work) for name, work in (("short", 1.0), ("long", 9.0)))
    first, second = (Piece("ranker", name, {}, (need,), work) for name, need, work in (
        ("first", short, 1.0), ("second", long, 5.0)))
    assert run(first, second).failures == {}
    assert FakeWorker.started == ["l", "long", "short", "first", "second"]  # rankers in the order of the arms


def test_a_shared_piece_is_made_once_and_a_finished_piece_not_again(run, tmp_path):
    logs, done = Piece("logs", "l", {}), Piece("dataset", "done", {})
    done.folder(tmp_path).mkdir(parents=True)
    (done.folder(tmp_path) / "dataset_info.json").touch()
    run(*(Piece("ranker", name, {}, (logs, done)) for name in ("a", "b")), times=2)
    assert FakeWorker.started == ["l", "a", "b"]


def test_a_failed_piece_blocks_its_dependents_and_is_not_tried_again(run):
    bad, fine = Piece("logs", "bad", {}), Piece("logs", "fine", {})
    child = Piece("dataset", "child", {}, (fine, bad))
    grandchild = Piece("ranker", "grandchild", {}, (child,))
    failures = run(grandchild, times=2).failures
    assert FakeWorker.started == ["fine", "bad"]
    assert failures == {
        bad: "it diverged", child: "needs logs bad, which failed: it diverged",
        grandchild: "needs dataset child, which failed: needs logs bad, which failed: it diverged"}


def test_a_piece_is_tried_twice_when_its_worker_dies(run, tmp_path):
    dead = Piece("logs", "dead", {})
    log = dead.console_log(tmp_path)
    log.parent.mkdir()
    log.write_text("first\nlast line\n \n")
    assert run(dead).failures[dead] == (
        f"its process ended with code 7, 2 times; last output: last line ({log})")
    assert FakeWorker.started == ["dead", "dead"]
    assert len(FakeWorker.every) == 2


def test_a_dead_worker_without_output_is_reported(run, tmp_path):
    dead = Piece("logs", "dead", {})
    assert run(dead).failures[dead].endswith(f"last output: nothing ({dead.console_log(tmp_path)})")


def test_a_reported_success_without_a_folder_is_a_failure(run):
    empty = Piece("logs", "empty", {})
    assert run(empty).failures[empty] == "the worker reported success, but the folder is missing"


def test_a_worker_is_replaced_after_its_maximum_number_of_pieces(run):
    run(*(Piece("logs", f"{index:02}", {}) for index in range(PIECES_PER_WORKER + 1)))
    assert [worker.done for worker in FakeWorker.every] == [PIECES_PER_WORKER, 1]
    assert [worker.ended for worker in FakeWorker.every] == ["end joined", "end joined"]
    assert FakeWorker.every[0].threads == 3


def test_at_most_the_number_of_jobs_run_at_once(run):
    run(*(Piece("logs", str(index), {}) for index in range(6)), jobs=2)
    assert len(FakeWorker.every) == 2
    assert sorted(FakeWorker.started) == [str(index) for index in range(6)]


def test_costs_of_finished_pieces_are_recorded(run, tmp_path):
    fine, bad = Piece("logs", "fine", {}), Piece("logs", "bad", {})
    run(fine, bad)
    costs = PieceCosts(tmp_path)
    assert costs.peak_rss_bytes() == 100
    assert costs.seconds([fine]) > 0
    assert costs.seconds([bad]) == 0


class Doomed(Worker):
    """Killed whenever it starts the piece named doomed."""

    deaths = 0

    def start(self, piece):
        super().start(piece)
        if piece.name == "doomed":
            Doomed.deaths += 1
            piece.console_log(self._root).parent.mkdir(exist_ok=True)
            piece.console_log(self._root).write_text("the last line\n\n")
            os.kill(self.pid, signal.SIGKILL)


def test_a_piece_that_kills_two_workers_fails_with_its_dependents(tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler, "Worker", Doomed)
    task = {"source": "planted", "sizes": {"users": 5, "items": 5, "engagements": 50, "impressions": 50}, "seed": 1}
    doomed, fine = Piece("logs", "doomed", task), Piece("logs", "fine", task)
    child = Piece("dataset", "child", {}, (doomed, fine))
    fine.folder(tmp_path).mkdir(parents=True)
    (fine.folder(tmp_path) / "manifest.json").touch()
    with scheduler.Scheduler(tmp_path, 1, 1, PieceCosts(tmp_path)) as pool:
        pool.run([child, fine])
    assert Doomed.deaths == 2
    assert fine not in pool.failures
    assert pool.failures[doomed].startswith("its process was ended by SIGKILL")
    assert "2 times; last output: the last line" in pool.failures[doomed]
    assert pool.failures[child].startswith("needs logs doomed, which failed: its process was ended")


class Stopping(Worker):
    """Sends SIGTERM to the parent process when it starts a piece."""

    pids: ClassVar[list[int]] = []

    def start(self, piece):
        super().start(piece)
        self.pids.append(self.pid)
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals need the main thread")
def test_sigterm_ends_the_workers_and_the_command_with_its_code(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scheduler, "Worker", Stopping)
    with (pytest.raises(SystemExit) as stopped,
          scheduler.Scheduler(tmp_path, 1, 1, PieceCosts(tmp_path)) as pool):
        pool.run([Piece("logs", "long", {"source": "planted", "sizes": {"engagements": 10**7}, "seed": 1})])
    assert stopped.value.code == 143
    assert "stopped; the same command continues" in capsys.readouterr().out
    with pytest.raises(ProcessLookupError):
        os.kill(Stopping.pids[0], 0)


def limit(finish_in, stop_in):
    return scheduler.TimeLimit(time.monotonic() + finish_in, time.monotonic() + stop_in)


def test_with_a_time_limit_pieces_start_in_the_given_order_and_only_if_they_can_finish(run, tmp_path):
    rows = {name: Piece("embeddings", name, {}, (), work) for name, work in (("e1", 1.0), ("e20", 20.0), ("e2", 2.0))}
    rankers = [Piece("ranker", f"r-{name}", {}, (need,)) for name, need in rows.items()]
    costs = PieceCosts(tmp_path)
    costs.add(Piece("embeddings", "old", {}), 10.0, 0)  # 10 seconds for work of 1
    costs.add(Piece("ranker", "old", {}), 10.0, 0)
    with scheduler.Scheduler(tmp_path, 1, 1, PieceCosts(tmp_path)) as pool:
        pool.run(rankers, limit(20.5, 1000))
        assert FakeWorker.started == ["e1", "r-e1"]  # 20 seconds; the others take 210 and 30
        pool.run(rankers, limit(300, 1000))
    assert FakeWorker.started == ["e1", "r-e1", "e20", "r-e20", "e2", "r-e2"]
    assert pool.failures == {}


def test_nothing_starts_after_the_time_limit(run, tmp_path):
    with scheduler.Scheduler(tmp_path, 1, 1, PieceCosts(tmp_path)) as pool:
        pool.run([Piece("logs", "late", {})], limit(-1, 10))
    assert FakeWorker.started == []


def test_pieces_in_progress_are_stopped_at_the_limit_and_the_next_call_makes_them(tmp_path, capsys):
    task = {"source": "planted", "seed": 1, "sizes": {"users": 5, "items": 5, "engagements": 10**7, "impressions": 50}}
    with scheduler.Scheduler(tmp_path, 1, 1, PieceCosts(tmp_path)) as pool:
        begin = time.monotonic()
        pool.run([Piece("logs", "endless", task)], limit(1, 1))
        assert time.monotonic() - begin < 30
        assert pool.failures == {}
        small = task | {"sizes": task["sizes"] | {"engagements": 50}}
        pool.run([again := Piece("logs", "endless", small)], limit(60, 60))
    assert again.is_finished(tmp_path)
    assert "stopped, because the time is up" in capsys.readouterr().out
