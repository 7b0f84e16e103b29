"""Run a command of tfrs-pretrain in a process that is killed when it puts its output in place.

argv: "before", "after" or "never", the moment of the kill; arguments of the command.
"""

import os
import signal
import sys

from beam_pipelines.launching import output_folder
from tfrs_pretrain import output_folders
from tfrs_pretrain.cli import main


def killed(moment, place):
    """The function, with a kill of this process before or after its call."""
    def call(*arguments, **keywords):
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        place(*arguments, **keywords)
        if moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    return call


if __name__ == "__main__":
    for module in (output_folders, output_folder):
        module.put_in_place = killed(sys.argv[1], module.put_in_place)
    sys.argv = ["tfrs-pretrain", *sys.argv[2:]]
    main()
