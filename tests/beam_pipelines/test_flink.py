"""build_dataset on Apache Flink itself: Beam's job server with Flink inside, from Maven's registry.

Not part of `make test`: `make test-flink` runs it, and skips with the reason where Java, Maven or the jar is missing.
"""

import os
import shutil
import subprocess
from pathlib import Path

import apache_beam
import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions
from folder_contents import folder_contents

from beam_pipelines.build_dataset import build

pytestmark = pytest.mark.flink
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
FLINK_VERSION = os.environ.get("FLINK_VERSION", FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS[-1])


def test_beam_supports_the_version_of_flink():
    assert FLINK_VERSION in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS


@pytest.fixture(scope="module")
def job_server(tmp_path_factory) -> Path:
    """The job server's jar of the installed Beam version."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    folder = tmp_path_factory.mktemp("flink")
    artifact = f"org.apache.beam:beam-runners-flink-{FLINK_VERSION}-job-server:{apache_beam.__version__}"
    try:
        done = subprocess.run(["mvn", "--batch-mode", "--quiet", "--update-snapshots", f"{PLUGIN}:copy",
                               f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"],
                              capture_output=True, text=True, check=False, timeout=900)
    except subprocess.TimeoutExpired:
        pytest.skip(f"Maven did not bring {artifact} within 15 minutes")
    if done.returncode:
        reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no reason given")
        pytest.skip(f"Maven cannot bring {artifact}: {reason}")
    [jar] = folder.glob("*.jar")
    return jar


@pytest.mark.parametrize("workers", ["loopback", "pool"])
def test_the_dataset_has_the_same_bytes_as_in_process(workers, job_server, request, tiny_dataset, planted_config,
                                                      planted_logs, tmp_path):
    """User code runs in the launching process, or in a separate worker pool as in production."""
    environment = ["--environment_type=LOOPBACK"] if workers == "loopback" else request.getfixturevalue("worker_pool")
    build(planted_config, planted_logs, tmp_path / "again",
          ["--runner=FlinkRunner", "--flink_master=[local]", f"--flink_version={FLINK_VERSION}",
           f"--flink_job_server_jar={job_server}", "--parallelism=2", *environment])
    assert folder_contents(tmp_path / "again") == folder_contents(tiny_dataset.folder)

