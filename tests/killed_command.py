"""Run a command of tfrs-pretrain in a process that is killed when it puts its output, a folder "out", in place.

argv: "before", "after" or "never", the moment of the kill; arguments of the command.
"""

import os
import signal
import sys

from beam_pipelines.launching import output_folder
from tfrs_pretrain import output_folders
from tfrs_pretrain.cli import main


def killed(moment, place):
    """The function, with a kill of this process before or after it handles the output (not a checkpoint)."""
    def call(folder, target, **keywords):
        if (moment, target.name) == ("before", "out"):
            os.kill(os.getpid(), signal.SIGKILL)
        place(folder, target, **keywords)
        if (moment, target.name) == ("after", "out"):
            os.kill(os.getpid(), signal.SIGKILL)

    return call


if __name__ == "__main__":
    for module in (output_folders, output_folder):
        module.put_in_place = killed(sys.argv[1], module.put_in_place)
    sys.argv = ["tfrs-pretrain", *sys.argv[2:]]
    main()
