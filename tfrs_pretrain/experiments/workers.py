"""Processes that make pieces, one after another: TensorFlow's start is paid once a process, not once a piece."""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tfrs_pretrain.errors import UserError
from tfrs_pretrain.experiments.pieces import Piece
from tfrs_pretrain.stages import peak_rss_bytes

PIECES_PER_WORKER = 16  # what TensorFlow keeps of finished models goes with the process
MEMORY_PER_WORKER = 4 << 30  # bytes, to be on the safe side: the project's own studies take 2.5 GB
STOPPED_AFTER = 120  # seconds that a worker has to write its checkpoint


def default_jobs() -> int:
    """Workers that this machine has cores and memory for."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(os.cpu_count() or 1, memory // MEMORY_PER_WORKER))


class Answer(NamedTuple):
    """How a piece went.

    Attributes:
      reason: why it failed, in a line; None if it is there.
      peak_rss_bytes: of the process so far.
    """

    reason: str | None
    peak_rss_bytes: int


class Worker:
    """One process.

    Args:
      root: the experiment's output.
      threads: that TensorFlow computes with.

    Attributes:
      piece: that it makes now, None while idle.
      connection: becomes readable when there is an answer, or when the process died.
    """

    def __init__(self, root: Path, threads: int):
        context = multiprocessing.get_context("spawn")  # a fork would share TensorFlow's threads
        self.connection, other = context.Pipe()
        self._root, self._done = root, 0
        self._process = context.Process(target=_serve, args=(other, str(root), threads), daemon=True)
        self._process.start()
        other.close()
        self.piece: Piece | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def is_spent(self) -> bool:
        """Whether another process should take over."""
        return self._done >= PIECES_PER_WORKER

    def start(self, piece: Piece) -> None:
        """Hands a piece to the idle process."""
        self.piece = piece
        with contextlib.suppress(OSError):  # it died while idle, which ``answer`` will tell
            self.connection.send((piece.kind, dict(piece.task), str(piece.folder(self._root)),
                                  str(piece.words(self._root))))

    def answer(self) -> Answer | None:
        """What became of the piece once ``connection`` is readable; None if the process died."""
        try:
            answer = Answer(*self.connection.recv())
        except (EOFError, OSError):
            return None
        self.piece, self._done = None, self._done + 1
        return answer

    def ended_how(self) -> str:
        """Words for the end of a process that died."""
        self._process.join(STOPPED_AFTER)
        code = self._process.exitcode
        if code is not None and code < 0:
            more = ", as the system does when memory runs out" if -code == signal.SIGKILL else ""
            return f"its process was ended by {signal.Signals(-code).name}{more}"
        return f"its process ended with code {code}"

    def end(self) -> None:
        """Lets an idle process end."""
        with contextlib.suppress(OSError):
            self.connection.send(None)
        self.connection.close()

    def terminate(self) -> None:
        """Asks the process to write a checkpoint and to end."""
        self._process.terminate()

    def join(self) -> None:
        """Waits for the end, and enforces it."""
        self._process.join(STOPPED_AFTER)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Any, root: str, threads: int) -> None:
    """Makes pieces until the other side lets go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the first process decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    while (asked := _received(connection)) is not None:
        kind, task, output, words = asked
        with _saying_into(Path(words)):
            reason = _attempt(kind, task, Path(output), Path(root))
        connection.send((reason, peak_rss_bytes()))
        gc.collect()


def _received(connection: Any) -> tuple[str, Mapping[str, Any], str, str] | None:
    try:
        asked: tuple[str, Mapping[str, Any], str, str] | None = connection.recv()
    except EOFError:
        return None
    return asked


def _attempt(kind: str, task: Mapping[str, Any], output: Path, root: Path) -> str | None:
    """Why the piece failed; SystemExit, after SIGTERM, ends the process."""
    try:
        importlib.import_module("tfrs_pretrain.experiments.perform").perform(kind, task, output, root)
    except UserError as error:
        return str(error)
    except Exception as error:
        traceback.print_exc()
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return None


@contextlib.contextmanager
def _saying_into(path: Path) -> Iterator[None]:
    """Appends what Python and C++ write to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    yield


def _end_with_parent() -> None:
    """A piece must not go on when the process that would count it is gone: another one may start it again."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
