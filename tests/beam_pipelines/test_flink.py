"""build_dataset on Apache Flink itself, which runs inside Beam's job server.

Not part of `make test`: `make test-flink` runs it.
"""

from collections.abc import Iterator

import pytest
from flink_jar import FLINK_MARKS, flink_jar
from folder_contents import folder_contents
from local_cluster import start_job_server
from local_processes import processes

from beam_pipelines.build_dataset import build

pytestmark = FLINK_MARKS


@pytest.fixture(scope="module")
def embedded(tmp_path_factory) -> Iterator[list[str]]:
    """Options of jobs for one job server with Flink inside."""
    folder = tmp_path_factory.mktemp("embedded")
    with processes(folder) as running:
        yield start_job_server(running, flink_jar(), folder, "[local]")[1]


@pytest.mark.parametrize("workers", ["loopback", "pool"])
def test_the_dataset_has_the_same_bytes_as_in_process(workers, embedded, request, tiny_dataset, planted_config,
                                                      planted_logs, tmp_path):
    """User code runs in the launching process, or in a separate worker pool as in production."""
    environment = ["--environment_type=LOOPBACK"] if workers == "loopback" else request.getfixturevalue("worker_pool")
    build(planted_config, planted_logs, tmp_path / "again", [*embedded, "--parallelism=2", *environment])
    assert folder_contents(tmp_path / "again") == folder_contents(tiny_dataset.folder)
