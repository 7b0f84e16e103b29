"""Beam engines in separate processes, as in production, on local ports."""

import sys
from collections.abc import Iterator

import pytest
from local_servers import ROOT, free_port, server


@pytest.fixture(scope="session")
def worker_pool() -> Iterator[list[str]]:
    """Options that run user code in a pool of worker processes, as next to Flink's task managers."""
    address = f"127.0.0.1:{free_port()}"
    with server(sys.executable, str(ROOT / "deploy" / "flink" / "worker_pool.py"), address, address=address):
        yield ["--environment_type=EXTERNAL", f"--environment_config={address}"]


@pytest.fixture(scope="session")
def portable(worker_pool: list[str]) -> Iterator[list[str]]:
    """Options for the PortableRunner with a separate job service and a separate worker pool."""
    port = free_port()
    with server(sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", f"--port={port}",
                address=f"localhost:{port}"):
        yield ["--runner=PortableRunner", f"--job_endpoint=localhost:{port}", *worker_pool]
