"""Holds the lock of a folder until a line arrives on standard input. Argument: the folder."""

import sys
from pathlib import Path

from tfrs_pretrain.locks import folder_lock

with folder_lock(Path(sys.argv[1]), wait=False):
    print("locked", flush=True)
    sys.stdin.readline()
