"""Processes that listen on local ports while tests run."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import processes

import beam_pipelines

ROOT = Path(beam_pipelines.__file__).parents[1]


@contextlib.contextmanager
def server(*command: str, address: str) -> Iterator[None]:
    """Runs a command during the body, which starts when the host and port are open."""
    host, port = address.split(":")
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # The worker pool starts its workers as ``python``.
    programs = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PATH": os.pathsep.join(programs)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert process.poll() is None, f"{command} ended with {process.returncode}"
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"{command} does not listen on {address} after a minute")
        yield
    finally:
        processes.end(process, 20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])
