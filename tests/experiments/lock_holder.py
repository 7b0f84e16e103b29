"""Lock a folder for a minute: ``python lock_holder.py FOLDER``. Prints "locked" once it has the lock."""

import sys
import time
from pathlib import Path

from tfrs_pretrain.experiments.output_lock import locked

if __name__ == "__main__":
    with locked(Path(sys.argv[1])):
        print("locked", flush=True)
        time.sleep(60)
