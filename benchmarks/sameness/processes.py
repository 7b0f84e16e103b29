"""Chains of commands, a few chains at once; no process outlives the caller."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sameness.errors import CouldNotRunError

TAIL_LINES = 25  # of the log of a command that failed
POLL_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Command:
    """One process.

    Attributes:
      argv: program and arguments.
      folder: working directory.
      log: file for standard output and error.
      environment: variables that replace or extend those of this process.
    """

    argv: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str]

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the process in a process group of its own."""
        with self.log.open("wb") as log:
            return subprocess.Popen(self.argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=subprocess.STDOUT, env=os.environ | self.environment,
                                    start_new_session=True)


def run_chains(chains: Sequence[Sequence[Command]], *, at_once: int) -> None:
    """Runs the commands of each chain in order, and at most ``at_once`` chains at a time.

    Raises:
      CouldNotRunError: a command failed. All others are stopped.
    """
    waiting = [iter(chain) for chain in chains]
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                _start_next(waiting.pop(0), running)
            time.sleep(POLL_SECONDS)
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                _stop(one.process)
                one.check()
                _start_next(one.chain, running)
    finally:
        for one in running:
            _stop(one.process)


@dataclasses.dataclass(frozen=True)
class _Running:
    process: subprocess.Popen[bytes]
    command: Command
    chain: Iterator[Command]

    def check(self) -> None:
        if self.process.returncode:
            tail = self.command.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            raise CouldNotRunError(f"{self.command.log.stem} ended with exit code {self.process.returncode}:\n"
                              + "\n".join(tail))


def _start_next(chain: Iterator[Command], running: list[_Running]) -> None:
    command = next(chain, None)
    if command:
        running.append(_Running(command.start(), command, chain))


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kills a process and its children; those of a finished process too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
