"""Processes for tests that need several, or one that receives a signal."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from lean_processes import python_path

SIGNALLED = Path(__file__).with_name("signalled.py")


def start(command, **environment):
    """Start Python with a list of arguments; it can import this folder's modules and those of the test's folder."""
    return subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True,
                            env=os.environ | python_path(str(Path(__file__).parent)) | environment)


def finish(*processes):
    """Wait for processes, which must succeed, and return the output of each."""
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]
    return outputs


def end(process, seconds):
    """Terminate a process, and kill it if it has not ended after some seconds."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run_for_json(command):
    """Run Python with a list of arguments and parse the last line that it prints."""
    return json.loads(finish(start(command))[0].splitlines()[-1])


def two_free_ports():
    """Two ports on which no process listens."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("localhost", 0))
        two.bind(("localhost", 0))
        return one.getsockname()[1], two.getsockname()[1]


def two_workers(command):
    """Start ``command(index)`` for each of two workers on this machine."""
    addresses = [f"localhost:{port}" for port in two_free_ports()]
    return [start(command(index), TF_CONFIG=json.dumps({
        "cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})) for index in range(2)]


def signal_once_saved(worker, number, checkpoints):
    """Send a signal to a worker once there is a checkpoint that was not there before."""
    before = newest(checkpoints)
    for _ in range(6000):
        if newest(checkpoints) != before or worker.poll() is not None:
            break
        time.sleep(0.02)
    worker.send_signal(number)


def run_until(script, number, event, at, *arguments):
    """Exit code and output of a training script that receives a signal at an event, see ``signalled.py``."""
    process = start([SIGNALLED, int(number), event, at, script, *arguments])
    output = process.communicate(timeout=300)[0]
    return process.returncode, output


def newest(checkpoints):
    """Name of the newest checkpoint in a folder, None if there is none."""
    return max((path.name for path in checkpoints.glob("step-*")), default=None)
