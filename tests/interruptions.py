"""Processes that end themselves at an exact moment, to be started again."""

import os
import subprocess
import sys
from pathlib import Path

# argv[1:4] = signal, what to count ("step" or "write"), at which count; the rest is the program's.
_DYING = """
import os, sys
import tfrs_pretrain
from tfrs_pretrain.training import checkpoint, loop

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
    loop._Loop.__call__ = dying(loop._Loop.__call__)
if event == "write":
    checkpoint.file_digest = dying(checkpoint.file_digest)
"""


def run_until(program, folder, number, event, at, *arguments):
    """Exit code and words of a Python program, run in a folder, that gets a signal at the event that is counted."""
    command = [sys.executable, "-c", _DYING + program, *(str(word) for word in (int(number), event, at, *arguments))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])})
    return done.returncode, done.stdout + done.stderr


def newest(checkpoints):
    """Name of the newest checkpoint in a folder, None if there is none."""
    return max((path.name for path in checkpoints.glob("step-*")), default=None)
