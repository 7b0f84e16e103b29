"""Workers: reasons of failures, messages about dead processes, the default number of workers."""

import os
import signal
from pathlib import Path

import pytest

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments import make_piece
from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.experiments.workers import Worker, _attempt, default_jobs


@pytest.mark.parametrize(("error", "reason"), [
    (None, None),
    (UserError("the loss is not finite"), "the loss is not finite"),
    (ValueError("two\n  lines"), "ValueError: two lines"),
    (RuntimeError("x" * 400), "RuntimeError: " + "x" * 286),
])
def test_a_failure_has_a_reason_in_one_line(monkeypatch, capsys, error, reason):
    def make(*arguments):
        assert arguments == ("ranker", {"a": 1}, Path("out"), Path("root"))
        if error:
            raise error

    monkeypatch.setattr(make_piece, "make_piece", make)
    assert _attempt("ranker", {"a": 1}, Path("out"), Path("root")) == reason
    unexpected = error is not None and not isinstance(error, UserError)
    assert ("Traceback" in capsys.readouterr().err) == unexpected


def test_sigterm_is_no_failure_of_the_piece(monkeypatch):
    def make(*_):
        raise SystemExit(143)

    monkeypatch.setattr(make_piece, "make_piece", make)
    with pytest.raises(SystemExit):
        _attempt("ranker", {}, Path("out"), Path("root"))


@pytest.mark.parametrize(("cores", "gigabytes", "expected"), [
    (8, 64, 8), (8, 9, 2), (1, 64, 1), (4, 2, 1), (None, 64, 1)])
def test_default_jobs_fit_cores_and_memory(monkeypatch, cores, gigabytes, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": gigabytes << 20, "SC_PAGE_SIZE": 1 << 10}.__getitem__)
    assert default_jobs() == expected


class EndedProcess:
    def __init__(self, exitcode):
        self.exitcode = exitcode

    def join(self, timeout):
        pass


@pytest.mark.parametrize(("code", "expected"), [
    (3, "its process ended with code 3"),
    (-signal.SIGSEGV, "its process was ended by SIGSEGV"),
    (-signal.SIGKILL, "its process was ended by SIGKILL, which the operating system sends when memory runs out"),
])
def test_a_dead_process_is_described(code, expected):
    worker = Worker.__new__(Worker)
    worker._process = EndedProcess(code)
    assert worker.exit_description() == expected


def test_a_worker_makes_pieces_and_reports_failures(tmp_path):
    """A real process: one piece that succeeds, one that fails, and a clean exit."""
    worker = Worker(tmp_path, 1)
    sizes = {"users": 5, "items": 5, "engagements": 50, "impressions": 50}
    fine, bad = (Piece("logs", name, {"source": "planted", "sizes": each, "seed": 1})
                 for name, each in (("fine", sizes), ("bad", {"engagements": "many"})))
    worker.start(fine)
    assert worker.piece == fine
    assert worker.connection.poll(120)
    result = worker.receive()
    assert result.reason is None
    assert result.peak_rss_bytes > 10**7
    assert (worker.piece, fine.is_finished(tmp_path), worker.is_spent) == (None, True, False)
    worker.start(bad)
    assert worker.connection.poll(120)
    assert worker.receive().reason.startswith(("TypeError: ", "ValueError: ", "UFuncTypeError: ", "_UFuncNo"))
    assert "Traceback" in bad.console_log(tmp_path).read_text()
    worker.end()
    worker.join()
    assert worker._process.exitcode == 0


@pytest.mark.parametrize(("made", "bytes_", "spent"), [
    (15, 10**10, False), (16, 10**10, True), (16, 10**9, False), (127, 10**9, False), (128, 10**9, True)])
def test_a_process_of_small_models_makes_more_pieces(made, bytes_, spent):
    worker = Worker.__new__(Worker)
    worker._done, worker._peak_rss_bytes = made, bytes_
    assert worker.is_spent == spent
