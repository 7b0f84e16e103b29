"""Runs a Flink cluster on this machine without containers, from the jar of ``class_path_jar.py`` (Linux only).

    python deploy/flink/local_cluster.py build/flink-job-server.jar

Starts a job manager, task managers with a worker pool each, and Beam's job server; prints the options for a job, and
runs until it is interrupted. All processes listen on loopback addresses, and the kernel kills them if this one dies.
Task manager n has the address 127.0.0.n and its own hosts file: ``workerpool`` is the address of its own pool.
"""

import argparse
import contextlib
import ctypes
import dataclasses
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
from class_path_jar import MAIN_CLASS, OPENED_PACKAGES

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
OPENED = [f"--add-opens={package}=ALL-UNNAMED" for package in OPENED_PACKAGES]
# All JVMs have the same class path, so that one class loader suffices for all jobs.
SETTINGS = {"classloader.resolve-order": "parent-first", "cluster.evenly-spread-out-slots": "true",
            "heartbeat.interval": "2000", "heartbeat.timeout": "20000"}
# Flink's own start scripts compute these sizes.
TASK_MANAGER_SIZES = {
    "taskmanager.cpu.cores": "1", "taskmanager.memory.task.heap.size": "512m",
    "taskmanager.memory.task.off-heap.size": "0", "taskmanager.memory.managed.size": "128m",
}
HEAPS = {"job manager": "384m", "task manager": "640m", "job server": "384m", "job server with Flink": "1g"}
START_SECONDS = 120
PR_SET_PDEATHSIG = 1  # from Linux's prctl.h


class StartError(Exception):
    """A process of the cluster has ended or does not listen; the message is one line."""


@dataclasses.dataclass
class Cluster:
    """Running processes, and the options of a job that uses them."""

    web: str
    job_manager: subprocess.Popen[bytes]
    task_managers: list[subprocess.Popen[bytes]]
    worker_pools: list[subprocess.Popen[bytes]]
    job_server: subprocess.Popen[bytes]
    options: list[str]


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
        return self.start(name, "java", f"-Xmx{HEAPS[heap]}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
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
        "job-server", heap, MAIN_CLASS, jar, f"--flink-master={master}", f"--flink-conf-dir={_configuration(folder)}",
        "--job-host=localhost", f"--job-port={job_port}", f"--artifact-port={artifact_port}", "--expansion-port=-1",
        f"--artifacts-dir={folder / 'artifacts'}", address=("127.0.0.1", job_port))
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
        manager = running.java("job-manager", "job manager", JOB_MANAGER, jar, *_flink_arguments(folder, shared),
                               address=("127.0.0.1", web_port))
        pools, workers = [], []
        for number in range(1, task_managers + 1):
            address = f"127.0.0.{number}"
            pools.append(running.start(f"worker-pool-{number}", sys.executable, str(FOLDER / "worker_pool.py"),
                                       f"{address}:{pool_port}", address=(address, pool_port)))
            workers.append(_task_manager(running, jar, folder, number, shared | {
                "taskmanager.numberOfTaskSlots": str(slots)}))
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
    return running.java(f"task-manager-{number}", "task manager", TASK_MANAGER, jar,
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
