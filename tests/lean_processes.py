"""Processes that start faster: without scikit-learn, which Keras imports if it can, and only tests use."""

import multiprocessing.spawn
import os
import sys
from pathlib import Path

LEAN = str(Path(__file__).with_name("lean"))


def python_path(*more: str) -> dict[str, str]:
    """Environment of a process that can import what this one can, except scikit-learn, and from further folders."""
    return {"PYTHONPATH": os.pathsep.join([LEAN, *more, *sys.path])}


def install() -> None:
    """Does the same for processes that ``multiprocessing`` starts."""
    describe = multiprocessing.spawn.get_preparation_data
    if describe.__module__ == __name__:
        return

    def lean(name):
        data = describe(name)
        return data | {"sys_path": [LEAN, *data["sys_path"]]}

    multiprocessing.spawn.get_preparation_data = lean
