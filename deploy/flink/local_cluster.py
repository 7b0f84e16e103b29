"""Runs a Flink cluster on this machine without containers, from the jar of ``class_path_jar.py`` (Linux only).

    python deploy/flink/local_cluster.py build/flink-job-server.jar

Starts a job manager, task managers with a worker pool each, and Beam's job server; prints the options for a job, and
runs until it is interrupted. All processes listen on loopback addresses, and the kernel kills them if this one dies.
Task manager n has the address 127.0.0.n and its own hosts file: ``workerpool`` is the address of its own pool.
"""

import argparse
import contextlib
import dataclasses
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from class_path_jar import MAIN_CLASS
from local_processes import START_SECONDS, Processes, StartError, free_ports, processes

FOLDER = Path(__file__).resolve().parent
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
# All JVMs have the same class path, so that one class loader suffices for all jobs.
SETTINGS = {"classloader.resolve-order": "parent-first", "cluster.evenly-spread-out-slots": "true",
            "heartbeat.interval": "2000", "heartbeat.timeout": "20000"}
# Flink's own start scripts compute these sizes.
TASK_MANAGER_SIZES = {
    "taskmanager.cpu.cores": "1",
    "taskmanager.memory.framework.heap.size": "128m", "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.task.heap.size": "512m", "taskmanager.memory.task.off-heap.size": "0",
    "taskmanager.memory.managed.size": "128m", "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "192m", "taskmanager.memory.jvm-overhead.max": "192m",
}
HEAPS = {"job manager": "384m", "task manager": "640m", "job server": "384m", "job server with Flink": "1g"}


@dataclasses.dataclass
class Cluster:
    """Running processes, and the options of a job that uses them."""

    web: str
    job_manager: subprocess.Popen[bytes]
    task_managers: list[subprocess.Popen[bytes]]
    worker_pools: list[subprocess.Popen[bytes]]
    job_server: subprocess.Popen[bytes]
    options: list[str]


def wait_for_slots(task_managers: list[subprocess.Popen[bytes]], web_port: int, count: int) -> None:
    """Waits until the job manager has all slots.

    Raises:
      StartError: it has not after ``START_SECONDS``, or a task manager has ended.
    """
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if any(process.poll() is not None for process in task_managers):
            raise StartError("a task manager has ended (see its log)")
        with contextlib.suppress(OSError), urllib.request.urlopen(
                f"http://127.0.0.1:{web_port}/overview", timeout=10) as answer:
            if json.load(answer).get("slots-total") == count:
                return
        time.sleep(0.2)
    raise StartError(f"the job manager does not have {count} slots after {START_SECONDS} s")


def start_job_server(running: Processes, jar: Path, folder: Path, master: str, *, job_port: int = 0) -> tuple[
        subprocess.Popen[bytes], list[str]]:
    """Starts Beam's job server.

    Args:
      running: processes to add it to.
      jar: jar of ``class_path_jar.py``.
      folder: folder for staged files.
      master: host and port of Flink's job manager, or ``[local]`` for Flink inside the job server.
      job_port: port of the job endpoint; 0 chooses one.

    Returns:
      The process, and options of a job for it.
    """
    chosen, artifact_port = free_ports(2)
    job_port = job_port or chosen
    heap = "job server with Flink" if master == "[local]" else "job server"
    process = running.java(
        "job-server", HEAPS[heap], MAIN_CLASS, jar, f"--flink-master={master}",
        f"--flink-conf-dir={_configuration(folder)}", "--job-host=localhost", f"--job-port={job_port}",
        f"--artifact-port={artifact_port}", "--expansion-port=-1", f"--artifacts-dir={folder / 'artifacts'}",
        address=("127.0.0.1", job_port))
    return process, ["--runner=PortableRunner", f"--job_endpoint=localhost:{job_port}"]


@contextlib.contextmanager
def cluster(jar: Path, folder: Path, *, task_managers: int = 2, slots: int = 2, job_port: int = 0, web_port: int = 0,
            pool_port: int = 0) -> Iterator[Cluster]:
    """Runs a cluster during the body.

    Args:
      jar: jar of ``class_path_jar.py``.
      folder: folder for logs and temporary files.
      task_managers: number of task managers; each has a worker pool.
      slots: number of slots of each task manager.
      job_port: port of the job endpoint; 0 chooses one.
      web_port: port of Flink's console; 0 chooses one.
      pool_port: port of all worker pools; 0 chooses one.
    """
    rpc, *chosen = free_ports(3)
    web_port, pool_port = web_port or chosen[0], pool_port or chosen[1]
    shared = SETTINGS | {
        "jobmanager.rpc.address": "localhost", "jobmanager.rpc.port": str(rpc), "jobmanager.bind-host": "127.0.0.1",
        "rest.address": "localhost", "rest.port": str(web_port), "rest.bind-address": "127.0.0.1",
        "io.tmp.dirs": str(folder / "tmp"),
    }
    with processes(folder) as running:
        manager = running.java("job-manager", HEAPS["job manager"], JOB_MANAGER, jar, *_flink_arguments(folder, shared),
                               address=("127.0.0.1", web_port))
        pools, workers = [], []
        for number in range(1, task_managers + 1):
            address = f"127.0.0.{number}"
            pools.append(running.start(f"worker-pool-{number}", sys.executable, str(FOLDER / "worker_pool.py"),
                                       f"{address}:{pool_port}", address=(address, pool_port)))
            workers.append(_task_manager(running, jar, folder, number, shared | {
                "taskmanager.numberOfTaskSlots": str(slots)}))
        wait_for_slots(workers, web_port, task_managers * slots)
        server, options = start_job_server(running, jar, folder, f"localhost:{web_port}", job_port=job_port)
        yield Cluster(f"http://localhost:{web_port}", manager, workers, pools, server, [
            *options, "--environment_type=EXTERNAL", f"--environment_config=workerpool:{pool_port}"])


def _task_manager(running: Processes, jar: Path, folder: Path, number: int, settings: dict[str, str]
                  ) -> subprocess.Popen[bytes]:
    address, [port] = f"127.0.0.{number}", free_ports(1, f"127.0.0.{number}")
    hosts = folder / f"hosts-{number}"
    hosts.write_text(f"127.0.0.1 localhost\n{address} workerpool {socket.gethostname()}\n")
    settings = settings | TASK_MANAGER_SIZES | {
        "taskmanager.host": address, "taskmanager.bind-host": address, "taskmanager.rpc.port": str(port)}
    return running.java(f"task-manager-{number}", HEAPS["task manager"], TASK_MANAGER, jar,
                        *_flink_arguments(folder, settings), properties=(f"-Djdk.net.hosts.file={hosts}",),
                        address=(address, port))


def _flink_arguments(folder: Path, settings: dict[str, str]) -> list[str]:
    return ["--configDir", str(_configuration(folder)),
            *(part for key, value in settings.items() for part in ("-D", f"{key}={value}"))]


def _configuration(folder: Path) -> Path:
    """Flink reads every file of that name in a folder."""
    target = folder / "conf"
    target.mkdir(parents=True, exist_ok=True)
    (target / "config.yaml").write_text((FOLDER / "config.yaml").read_text())
    return target


def main(argv: list[str]) -> int:
    """Runs a cluster until it is interrupted. Reports an error in one line; then the exit code is 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jar", type=Path, help="jar of class_path_jar.py")
    parser.add_argument("--folder", type=Path, default=Path("build/flink-cluster"),
                        help="folder for logs and temporary files (default: %(default)s)")
    parser.add_argument("--task_managers", type=int, default=2, help="each has a worker pool (default: %(default)s)")
    parser.add_argument("--slots", type=int, default=2, help="slots of each task manager (default: %(default)s)")
    parser.add_argument("--job_port", type=int, default=8099, help="port of the job endpoint (default: %(default)s)")
    parser.add_argument("--web_port", type=int, default=8081, help="port of Flink's console (default: %(default)s)")
    parser.add_argument("--pool_port", type=int, default=50000, help="port of worker pools (default: %(default)s)")
    given = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        with cluster(given.jar, given.folder, task_managers=given.task_managers, slots=given.slots,
                     job_port=given.job_port, web_port=given.web_port, pool_port=given.pool_port) as running:
            # The job goes on with the slots of the others after the loss of a task manager.
            parallelism = max(1, given.task_managers - 1) * given.slots
            sys.stdout.write(f"{' '.join(running.options)} --parallelism={parallelism}\n")
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except StartError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
