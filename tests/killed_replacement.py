"""Replace a folder in processes that are killed, one before each file operation of the replacement.

argv: folder; "exchange" or "renames", the way of replacing. A process of its own, because it forks. Kill number n
leaves its state in ``<folder>/<n>``. Prints the number of kills.
"""

import os
import signal
import sys
from pathlib import Path

from tfrs_pretrain import output_folders
from tfrs_pretrain.artifacts import write_manifest
from tfrs_pretrain.output_folders import staged_folder

OPERATIONS = {"os.mkdir", "os.remove", "os.rename", "os.rmdir"}


class KilledBefore:
    """Kills this process before its file operation number ``at``, from 1."""

    def __init__(self, at):
        self._left = at

    def count(self):
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, event, arguments):
        if event in OPERATIONS or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            self.count()


def fill(folder, content):
    for name in ("a", "deep/b", "deep/c"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    write_manifest(folder, "thing", {"content": content})


def replace(folder, content):
    with staged_folder(folder / "out", overwrite=True) as stage:
        fill(stage, content)


def is_killed(function, at):
    """Whether a fork of this process was killed before operation number ``at`` of the function."""
    child = os.fork()
    if not child:
        killer = KilledBefore(at)
        if output_folders.exchange is REAL_EXCHANGE:
            output_folders.exchange = lambda *paths: killer.count() or REAL_EXCHANGE(*paths)
        sys.addaudithook(killer)
        function()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


REAL_EXCHANGE = output_folders.exchange


def main(root, way):
    if way == "renames":
        output_folders.exchange = lambda *_: False
    at, killed = 0, True
    while killed:
        at += 1
        folder = root / str(at)
        folder.mkdir(parents=True)
        replace(folder, "old")
        killed = is_killed(lambda folder=folder: replace(folder, "new"), at)
    print(at - 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
