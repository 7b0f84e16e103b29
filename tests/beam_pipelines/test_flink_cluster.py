"""build_dataset on a Flink cluster of several processes, which loses some of them.

Not part of `make test`: `make test-flink-cluster` runs it.
"""

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from flink_jar import FLINK_MARKS, flink_jar
from folder_contents import folder_contents
from local_cluster import Cluster, cluster
from local_processes import StartError, free_ports
from local_servers import ROOT

from beam_pipelines.build_dataset import build

pytestmark = [*FLINK_MARKS, pytest.mark.slow]
MAX_SECONDS = 300
T = TypeVar("T")


def test_a_cluster_that_loses_a_task_manager_writes_the_same_bytes(
        tiny_dataset, planted_config, planted_logs, tmp_path):
    with cluster(flink_jar(), tmp_path / "cluster", task_managers=2, slots=2) as running:
        killer = _Killer(running)
        watchdog = threading.Timer(MAX_SECONDS, running.job_server.kill)  # the job fails then instead of hanging
        watchdog.daemon = True
        watchdog.start()
        build(planted_config, planted_logs, tmp_path / "again", [*running.options, "--parallelism=2"])
        watchdog.cancel()
        killer.join()
        assert [manager.poll() for manager in running.task_managers].count(-signal.SIGKILL) == 1
        assert [job["state"] for job in _jobs(running)] == ["FINISHED"] * 3
        assert [_failures(running, job["jid"]) > 0 for job in _jobs(running)].count(True) == 1
    assert all(process.poll() is not None for process in (
        running.job_manager, *running.task_managers, *running.worker_pools, running.job_server))
    assert folder_contents(tmp_path / "again") == folder_contents(tiny_dataset.folder)
    assert not (tmp_path / "again" / ".results").exists()


class _Killer(threading.Thread):
    """Kills a task manager whose workers have started, in the middle of a job."""

    def __init__(self, running: Cluster):
        super().__init__(daemon=True)
        self._running = running
        self.start()

    def run(self) -> None:
        victim = _wait(self._busy)[0]
        self._running.task_managers[victim].kill()

    def _busy(self) -> list[int]:
        """Numbers of the task managers whose workers have started, while a job runs."""
        running = [job for job in _jobs(self._running) if job["state"] == "RUNNING" and job["tasks"]["finished"]]
        return [number for number, pool in enumerate(self._running.worker_pools) if running and _children(pool.pid)]


def _wait(condition: Callable[[], T]) -> T:
    end = time.monotonic() + MAX_SECONDS
    while not (result := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return result


def _children(process: int) -> list[int]:
    """Process ids of the children that any thread of a process has started."""
    return [int(child) for task in Path(f"/proc/{process}/task").iterdir()
            for child in _read(task / "children").split()]


def _read(path: Path) -> str:
    """Returns the content of a file of the kernel; empty if the thread has ended meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _jobs(running: Cluster) -> list[dict[str, Any]]:
    return sorted(_get(running, "/jobs/overview")["jobs"], key=lambda job: job["start-time"])


def _failures(running: Cluster, job: str) -> int:
    return len(_get(running, f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"])


def _get(running: Cluster, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(running.web + path, timeout=10) as answer:
        return json.load(answer)


def test_the_command_prints_the_options_of_a_job_and_its_cluster_ends_with_it(tmp_path):
    """Even after ``kill -9``."""
    job_port, web_port, pool_port = free_ports(3)
    process = subprocess.Popen(
        [sys.executable, ROOT / "deploy" / "flink" / "local_cluster.py", flink_jar(), f"--folder={tmp_path}",
         "--task_managers=1", f"--job_port={job_port}", f"--web_port={web_port}", f"--pool_port={pool_port}"],
        stdout=subprocess.PIPE, text=True)
    options = process.stdout.readline().split()
    assert options == ["--runner=PortableRunner", f"--job_endpoint=localhost:{job_port}", "--environment_type=EXTERNAL",
                       f"--environment_config=workerpool:{pool_port}", "--parallelism=2"]
    documented = " ".join(options).replace(str(job_port), "8099").replace(str(pool_port), "50000")
    assert documented in (ROOT / "deploy" / "flink" / "README.md").read_text().replace("\\\n  ", "")
    children = _wait(lambda: _children(process.pid))
    assert len(children) == 4
    process.kill()
    process.wait()
    _wait(lambda: not any(Path(f"/proc/{child}/cmdline").exists() for child in children))


def test_a_jvm_that_cannot_start_is_an_error_that_names_its_log(tmp_path):
    (tmp_path / "empty.jar").touch()
    with pytest.raises(StartError, match=r"^job-manager \(log .*job-manager.log\) has ended with exit code 1$"), \
            cluster(tmp_path / "empty.jar", tmp_path):
        pass
