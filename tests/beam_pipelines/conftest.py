"""Beam engines in separate processes, as in production, on local ports."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import beam_pipelines

ROOT = Path(beam_pipelines.__file__).parents[1]


@contextlib.contextmanager
def server(*arguments: str, port: int) -> Iterator[int]:
    """Runs ``python -m <arguments>`` during the body; yields the port when it is open."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # The worker pool starts its workers as ``python``.
    programs = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PATH": os.pathsep.join(programs)}
    process = subprocess.Popen([sys.executable, "-m", *arguments], env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert process.poll() is None, f"{arguments[0]} ended with {process.returncode}"
            with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"{arguments[0]} does not listen on port {port} after a minute")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def worker_pool() -> Iterator[list[str]]:
    """Options that run user code in a pool of worker processes, as next to Flink's task managers."""
    port = free_port()
    with server("apache_beam.runners.worker.worker_pool_main", f"--service_port={port}", port=port):
        yield ["--environment_type=EXTERNAL", f"--environment_config=localhost:{port}"]


@pytest.fixture(scope="session")
def portable(worker_pool: list[str]) -> Iterator[list[str]]:
    """Options for the PortableRunner with a separate job service and a separate worker pool."""
    port = free_port()
    with server("apache_beam.runners.portability.local_job_service_main", f"--port={port}", port=port):
        yield ["--runner=PortableRunner", f"--job_endpoint=localhost:{port}", *worker_pool]
