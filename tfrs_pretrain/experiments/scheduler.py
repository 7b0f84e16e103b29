"""Make pieces in dependency order, several at a time, and survive workers that die."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.text import Text

from tfrs_pretrain.experiments.piece_costs import PieceCosts
from tfrs_pretrain.experiments.pieces import KINDS, Piece
from tfrs_pretrain.experiments.progress_board import ProgressBoard, progress_board
from tfrs_pretrain.experiments.workers import PieceResult, Worker
from tfrs_pretrain.progress import console
from tfrs_pretrain.training.termination import EXIT_CODE, Termination, graceful_sigterm

ATTEMPTS = 2  # for a piece whose worker dies; a piece that fails with a reason is not tried again
POLL_SECONDS = 0.5  # between checks for SIGTERM


@dataclasses.dataclass(frozen=True)
class TimeLimit:
    """Limits of one call of ``Scheduler.run``, as values of ``time.monotonic()``.

    Attributes:
      finish_by: a piece is only started if it and its dependencies are expected to finish by this time.
      stop_at: pieces in progress are stopped; the next call continues them from their checkpoints.
    """

    finish_by: float
    stop_at: float


class Scheduler:
    """A pool of workers; a context manager that ends them.

    Args:
      root: output folder of the experiment.
      jobs: maximum number of workers.
      threads: compute threads per worker.
      costs: records the time and memory of pieces.

    Attributes:
      failures: failed piece -> reason.
    """

    def __init__(self, root: Path, jobs: int, threads: int, costs: PieceCosts):
        self._root, self._jobs, self._threads, self._costs = root, jobs, threads, costs
        self._workers: list[Worker] = []
        self._started: dict[Piece, float] = {}
        self._deaths: dict[Piece, int] = {}
        self.failures: dict[Piece, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for worker in self._workers:
            if worker.piece is None:
                worker.end()
            else:
                worker.terminate()
        for worker in self._workers:
            worker.join()
        if kind in (KeyboardInterrupt, SystemExit):
            console.print(Text("stopped; the same command continues", style="dim"))

    def run(self, pieces: Iterable[Piece], limit: TimeLimit | None = None) -> None:
        """Make these pieces and their dependencies, except those that are finished or have failed before.

        Args:
          pieces: the pieces.
          limit: when to stop; the pieces are then started in the given order, and some may remain unfinished. None:
            all are made, in the order that takes the least time.

        Raises:
          SystemExit: SIGTERM was received (code 143).
        """
        targets = list(dict.fromkeys(pieces))
        wanted = dict.fromkeys(need for piece in targets for need in piece.with_dependencies())
        waiting = [piece for piece in wanted if piece not in self.failures and not piece.is_finished(self._root)]
        if limit is None:
            waiting.sort(key=_urgency)
        with graceful_sigterm() as termination, progress_board(len(waiting)) as board:
            while waiting or self._started:
                self._give_up_blocked(waiting, board)
                if limit is not None:
                    self._apply(limit, targets, waiting, board)
                self._start_ready(waiting, board)
                self._collect(waiting, board)
                _stop_if(termination)

    def _give_up_blocked(self, waiting: list[Piece], board: ProgressBoard) -> None:
        for piece in [*waiting]:
            blocking = [need for need in piece.needs if need in self.failures]
            if blocking:
                waiting.remove(piece)
                self._fail(piece, f"needs {blocking[0].title}, which failed: {self.failures[blocking[0]]}", board)

    def _apply(self, limit: TimeLimit, targets: Sequence[Piece], waiting: list[Piece], board: ProgressBoard) -> None:
        """Remove the pieces that would finish too late from ``waiting``, and stop those in progress at the limit."""
        now = time.monotonic()
        if now >= limit.stop_at:
            waiting.clear()
            self._stop_started(board)
        missing = [[need for need in dict.fromkeys(target.with_dependencies())
                    if need in waiting or need in self._started] for target in targets]
        kept = {need for needs in missing if self._in_time(needs, limit.finish_by - now) for need in needs}
        waiting[:] = [piece for piece in waiting if piece in kept]

    def _in_time(self, pieces: Sequence[Piece], seconds: float) -> bool:
        """Whether the pieces are in progress or expected to take at most so many seconds; unknown costs count 0."""
        return any(piece in self._started for piece in pieces) or (self._costs.estimate(pieces) or 0.0) <= seconds

    def _stop_started(self, board: ProgressBoard) -> None:
        busy = [worker for worker in self._workers if worker.piece]
        for worker in busy:
            worker.terminate()
        for worker in busy:
            worker.join()
            assert worker.piece is not None
            board.failed(worker.piece, "stopped, because the time is up")
        self._workers = [worker for worker in self._workers if worker not in busy]
        self._started.clear()

    def _start_ready(self, waiting: list[Piece], board: ProgressBoard) -> None:
        for piece in [*waiting]:
            if len(self._started) == self._jobs:
                return
            if all(need.is_finished(self._root) for need in piece.needs):
                waiting.remove(piece)
                self._started[piece] = time.monotonic()
                self._idle_worker().start(piece)
                board.started(piece)

    def _idle_worker(self) -> Worker:
        for worker in self._workers:
            if worker.piece is None and not worker.is_spent:
                return worker
        for worker in [worker for worker in self._workers if worker.piece is None]:
            worker.end()
            worker.join()
            self._workers.remove(worker)
        self._workers.append(Worker(self._root, self._threads))
        return self._workers[-1]

    def _collect(self, waiting: list[Piece], board: ProgressBoard) -> None:
        """Wait for a result, at most ``POLL_SECONDS``, and handle the results that arrived."""
        busy = {worker.connection: worker for worker in self._workers if worker.piece}
        for connection in wait(list(busy), POLL_SECONDS):
            worker = busy[connection]  # type: ignore[index]
            piece = worker.piece
            assert piece is not None
            result, seconds = worker.receive(), time.monotonic() - self._started.pop(piece)
            if result is None:
                self._workers.remove(worker)
                self._retry(piece, worker.exit_description(), waiting, board)
            elif result.reason or not piece.is_finished(self._root):
                self._fail(piece, result.reason or "the worker reported success, but the folder is missing", board)
            else:
                self._finish(piece, seconds, result, waiting, board)

    def _finish(self, piece: Piece, seconds: float, result: PieceResult, waiting: list[Piece],
                board: ProgressBoard) -> None:
        self._costs.add(piece, seconds, result.peak_rss_bytes)
        left = self._costs.estimate([*waiting, *self._started])
        board.finished(piece, seconds, None if left is None else left / self._jobs)

    def _retry(self, piece: Piece, how: str, waiting: list[Piece], board: ProgressBoard) -> None:
        self._deaths[piece] = self._deaths.get(piece, 0) + 1
        if self._deaths[piece] == ATTEMPTS:
            last_line = _last_line(piece.console_log(self._root))
            self._fail(piece, f"{how}, {ATTEMPTS} times; last output: {last_line}", board)
        else:
            board.failed(piece, f"{how}; it is tried again")
            waiting.insert(0, piece)

    def _fail(self, piece: Piece, reason: str, board: ProgressBoard) -> None:
        self.failures[piece] = reason
        board.failed(piece, reason)


def _urgency(piece: Piece) -> tuple[int, float]:
    """Sort key: by kind, the longest first; rankers stay in the order of the arms."""
    is_ranker = piece.kind == KINDS[-1]
    return KINDS.index(piece.kind), 0.0 if is_ranker else -piece.work


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing") + f" ({path})"


def _stop_if(termination: Termination) -> None:
    if termination.requested:
        raise SystemExit(EXIT_CODE)
