"""Processes for tests that need several, or one that dies."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

# argv[1:4] = signal, what to count ("step" or "write"), at which count; the rest is the program's.
_DYING = """
import os, sys
import tfrs_pretrain
from tfrs_pretrain.training import checkpoint_files, compiled_loop, loop

number, event, at, *arguments = sys.argv[1:]
loop.STEPS_PER_CALL = 1
counted = 0
def dying(function):
    def call(*arguments, **keywords):
        global counted
        counted += 1
        if counted == int(at):
            os.kill(os.getpid(), int(number))
        return function(*arguments, **keywords)
    return call
if event == "step":
    compiled_loop.CompiledLoop.__call__ = dying(compiled_loop.CompiledLoop.__call__)
if event == "write":
    checkpoint_files.file_digest = dying(checkpoint_files.file_digest)
"""


def start(command, **environment):
    """Starts Python with a command's words; it can import this folder's modules and the test's."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    return subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, env=os.environ | {"PYTHONPATH": path} | environment)


def finish(*processes):
    """What each said; all must have ended well."""
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    for process, words in zip(processes, outputs, strict=True):
        assert process.returncode == 0, words[-3000:]
    return outputs


def two_free_ports():
    """Two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("localhost", 0))
        two.bind(("localhost", 0))
        return one.getsockname()[1], two.getsockname()[1]


def two_workers(command):
    """Starts the command, a function of the worker's number, once for each of two workers on this machine."""
    addresses = [f"localhost:{port}" for port in two_free_ports()]
    return [start(command(index), TF_CONFIG=json.dumps({
        "cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})) for index in range(2)]


def signal_once_saved(worker, number, checkpoints):
    """Sends a signal to a worker once there is a checkpoint that was not there before."""
    before = newest(checkpoints)
    for _ in range(6000):
        if newest(checkpoints) != before or worker.poll() is not None:
            break
        time.sleep(0.02)
    worker.send_signal(number)


def run_until(program, number, event, at, *arguments):
    """Exit code and words of a Python program that gets a signal at the event that is counted."""
    process = start(["-c", _DYING + program, int(number), event, at, *arguments])
    words = process.communicate(timeout=300)[0]
    return process.returncode, words


def newest(checkpoints):
    """Name of the newest checkpoint in a folder, None if there is none."""
    return max((path.name for path in checkpoints.glob("step-*")), default=None)
