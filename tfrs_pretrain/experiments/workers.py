"""Worker processes, each making one piece after another, so that TensorFlow starts once per process, not per piece."""

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
from tfrs_pretrain.system_errors import describe_system_error

PIECES_PER_WORKER = 16  # TensorFlow keeps memory of finished models until the process ends
SMALL_WORKER = 3 << 29  # bytes: a process of small models stays longer, because starting another takes seconds
MOST_PIECES_PER_WORKER = 8 * PIECES_PER_WORKER
MEMORY_PER_WORKER = 4 << 30  # bytes, with a margin: the project's own studies peak at 2.5 GB
STOPPED_AFTER = 120  # seconds that a worker has to write its checkpoint after SIGTERM


def default_jobs() -> int:
    """Return the number of workers that fit the cores and memory of this machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(os.cpu_count() or 1, memory // MEMORY_PER_WORKER))


class PieceResult(NamedTuple):
    """Result of one piece.

    Attributes:
      reason: one-line reason of a failure. None: the piece is finished.
      peak_rss_bytes: peak memory of the process so far.
    """

    reason: str | None
    peak_rss_bytes: int


class Worker:
    """One worker process.

    Args:
      root: output folder of the experiment.
      threads: number of TensorFlow's compute threads.

    Attributes:
      piece: the piece in progress. None while idle.
      connection: readable when a result has arrived or the process has died.
    """

    def __init__(self, root: Path, threads: int):
        context = multiprocessing.get_context("spawn")  # a fork would share TensorFlow's threads
        self.connection, other = context.Pipe()
        self._root, self._done, self._peak_rss_bytes = root, 0, 0
        self._process = context.Process(target=_serve, args=(other, str(root), threads), daemon=True)
        self._process.start()
        other.close()
        self.piece: Piece | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def is_spent(self) -> bool:
        """Whether the process has made its maximum number of pieces, which is larger for small models."""
        is_small = self._peak_rss_bytes < SMALL_WORKER
        return self._done >= (MOST_PIECES_PER_WORKER if is_small else PIECES_PER_WORKER)

    def start(self, piece: Piece) -> None:
        """Send a piece to the idle process."""
        self.piece = piece
        with contextlib.suppress(OSError):  # it died while idle; ``receive`` reports it
            self.connection.send((piece.kind, dict(piece.task), str(piece.folder(self._root)),
                                  str(piece.console_log(self._root))))

    def receive(self) -> PieceResult | None:
        """Return the result once ``connection`` is readable; None if the process died."""
        try:
            result = PieceResult(*self.connection.recv())
        except (EOFError, OSError):
            return None
        self.piece, self._done, self._peak_rss_bytes = None, self._done + 1, result.peak_rss_bytes
        return result

    def exit_description(self) -> str:
        """Describe how the dead process ended."""
        self._process.join(STOPPED_AFTER)
        code = self._process.exitcode
        if code is not None and code < 0:
            more = ", which the operating system sends when memory runs out" if -code == signal.SIGKILL else ""
            return f"its process was ended by {signal.Signals(-code).name}{more}"
        return f"its process ended with code {code}"

    def end(self) -> None:
        """Let an idle process exit."""
        with contextlib.suppress(OSError):
            self.connection.send(None)
        self.connection.close()

    def terminate(self) -> None:
        """Ask the process to write a checkpoint and exit."""
        self._process.terminate()

    def join(self) -> None:
        """Wait for the process to exit; kill it after ``STOPPED_AFTER`` seconds."""
        self._process.join(STOPPED_AFTER)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _serve(connection: Any, root: str, threads: int) -> None:
    """Make pieces until the parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the first process decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    while (request := _receive_request(connection)) is not None:
        kind, task, output, console_log = request
        with _output_appended_to(Path(console_log)):
            reason = _attempt(kind, task, Path(output), Path(root))
        connection.send((reason, peak_rss_bytes()))
        gc.collect()


def _receive_request(connection: Any) -> tuple[str, Mapping[str, Any], str, str] | None:
    try:
        request: tuple[str, Mapping[str, Any], str, str] | None = connection.recv()
    except EOFError:
        return None
    return request


def _attempt(kind: str, task: Mapping[str, Any], output: Path, root: Path) -> str | None:
    """Return why the piece failed, None on success. SystemExit, after SIGTERM, ends the process."""
    try:
        importlib.import_module("tfrs_pretrain.experiments.make_piece").make_piece(kind, task, output, root)
    except UserError as error:
        return str(error)
    except Exception as error:
        traceback.print_exc()
        return describe_system_error(error) or " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return None


@contextlib.contextmanager
def _output_appended_to(path: Path) -> Iterator[None]:
    """Append the output of Python and C++ code to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    yield


def _end_with_parent() -> None:
    """Exit with the parent process: another one may start the same piece again."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
