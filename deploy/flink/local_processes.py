"""Processes that start together, log to files of a folder, and end together (Linux only)."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from class_path_jar import OPENED_PACKAGES

ROOT = Path(__file__).resolve().parents[2]
OPENED = [f"--add-opens={package}=ALL-UNNAMED" for package in OPENED_PACKAGES]
START_SECONDS = 120
PR_SET_PDEATHSIG = 1  # from Linux's prctl.h


class StartError(Exception):
    """A process of the cluster has ended or does not listen; the message is one line."""


class Processes:
    """Starts processes that log to files of a folder, and stops all of them."""

    def __init__(self, folder: Path):
        self._folder = folder.resolve()
        self._running: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, *command: str, address: tuple[str, int]) -> subprocess.Popen[bytes]:
        """Starts a process and waits until it listens.

        Raises:
          StartError: it does not, or has ended.
        """
        log = self._folder / f"{name}.log"
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}, preexec_fn=_end_with_parent)  # noqa: PLW1509
        self._running.append(process)
        wait_for(process, address, f"{name} (log {log})")
        return process

    def java(self, name: str, heap: str, main: str, jar: Path, *arguments: str, address: tuple[str, int],
             properties: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Starts a JVM with little memory and quick compilation: jobs here are short.

        Raises:
          StartError: Java or the jar is missing, or see ``start``.
        """
        if not shutil.which("java"):
            raise StartError("java is not installed: install Java 17")
        if not jar.exists():
            raise StartError(f"{jar} does not exist: write it with class_path_jar.py")
        temporary = self._folder / "tmp"
        temporary.mkdir(exist_ok=True)
        return self.start(name, "java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                          f"-Djava.io.tmpdir={temporary}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *OPENED,
                          *properties, "-cp", str(jar), main, *arguments, address=address)

    def stop(self) -> None:
        """Terminates all processes, the last one first, and kills those that do not end."""
        for process in reversed(self._running):
            process.terminate()
        for process in reversed(self._running):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(process: subprocess.Popen[bytes], address: tuple[str, int], name: str) -> None:
    """Waits until a process listens.

    Raises:
      StartError: it does not after ``START_SECONDS``, or has ended.
    """
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise StartError(f"{name} has ended with exit code {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=1):
            return
        time.sleep(0.1)
    raise StartError(f"{name} does not listen on {address[0]}:{address[1]} after {START_SECONDS} s")


@contextlib.contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """Provides ``Processes`` and stops all of them after the body."""
    running = Processes(folder)
    try:
        yield running
    finally:
        running.stop()


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Returns different ports on which no process listens."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((host, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
