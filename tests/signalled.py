"""Run a training script that sends itself a signal at a given event.

argv: signal number; event, "step" (a training step) or "write" (a file of a checkpoint); count of the event
at which to send the signal; script; arguments of the script.
"""

import itertools
import os
import runpy
import sys

from tfrs_pretrain.training import checkpoint_files, compiled_loop, loop


def signalled(function, number, at, calls):
    """The function, with a signal to this process at call number ``at`` of those that ``calls`` counts."""
    def call(*arguments, **keywords):
        if next(calls) == at:
            os.kill(os.getpid(), number)
        return function(*arguments, **keywords)

    return call


def main(number, event, at, script, *arguments):
    loop.STEPS_PER_CALL = 1
    calls = itertools.count(1)
    for owner, name in {"step": [(compiled_loop.CompiledLoop, "__call__")],
                        "write": [(checkpoint_files, "write_array"), (checkpoint_files, "write_array_in_parallel")],
                        }[event]:
        setattr(owner, name, signalled(getattr(owner, name), int(number), int(at), calls))
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
