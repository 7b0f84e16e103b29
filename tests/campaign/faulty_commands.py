"""Commands of the program that meet a fault: a kill, or a full disk. The other end of ``forked_commands.py``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SUPPORTED = sys.platform == "linux" and shutil.which("cc") is not None


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
      status: exit code, or minus the number of the signal that killed it.
      output: text of both streams.
      operations, writes: file operations below the folder, and the writes among them; 0 if it was killed.
    """

    status: int
    output: str
    operations: int
    writes: int


class Commands:
    """Runs commands and functions in forks of one process with a layer that injects faults; see ``commands``."""

    def __init__(self, process: subprocess.Popen[str], output: Path):
        self._process, self._output = process, output

    def run(self, *arguments: object, folder: Path, mode: str = "OFF", at: int = 0) -> Ended:
        """Run the program.

        Args:
          arguments: arguments of the command line.
          folder: operations below this folder count.
          mode: fault, see ``fault_layer.c``.
          at: number of the operation or write.
        """
        return self.call("forked_commands:command", *arguments, folder=folder, mode=mode, at=at)

    def call(self, function: str, *arguments: object, folder: Path, mode: str = "OFF", at: int = 0) -> Ended:
        """Call ``module:function``; other arguments as in ``run``."""
        request = {"call": function, "arguments": [str(value) for value in arguments], "folder": str(folder.resolve()),
                   "mode": mode, "at": at, "output": str(self._output)}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        return Ended(output=self._output.read_text(errors="replace"), **answer)


@contextmanager
def commands(scratch: Path, *modules: str) -> Iterator[Commands]:
    """Compile the layer, start a process that imports the modules, and end it with the block.

    Args:
      scratch: folder for the library and for output.
      modules: modules to import before any fork.
    """
    library = scratch / "fault_layer.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, HERE / "fault_layer.c", "-ldl"], check=True)
    path = os.pathsep.join([str(HERE), str(HERE.parent), *sys.path])
    environment = os.environ | {"PYTHONPATH": path, "LD_PRELOAD": str(library), "TF_CPP_MIN_LOG_LEVEL": "2",
                                "COLUMNS": "200"}
    with subprocess.Popen([sys.executable, HERE / "forked_commands.py", *modules], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == "ready\n"
        yield Commands(process, scratch / "output.txt")
        process.stdin.close()
