"""The life of shops under faults, in one process: ``simulate.py --seed N --weeks M``.

Every life has 52 weeks and a seed of its own, ``N`` and the number of the life. A violated invariant ends the run with
exit code 1, after the steps were reduced to those that are needed to see it.
"""

import argparse
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
PATHS = (HERE, HERE.parent, HERE.parent / "campaign", HERE.parent / "serving", HERE.parent.parent)


def start():
    """Starts this process again with the fault layer, unless it has it or there is no compiler; installs stand-ins."""
    sys.path[:0] = [str(path) for path in PATHS]
    if "FAULT_LAYER" not in os.environ and shutil.which("cc") and sys.platform == "linux":
        library = Path(tempfile.mkdtemp()) / "fault_layer.so"
        source = HERE.parent / "campaign" / "fault_layer.c"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        environment = os.environ | {"LD_PRELOAD": str(library), "FAULT_LAYER": str(library.parent)}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    if "FAULT_LAYER" in os.environ:  # the library is loaded
        shutil.rmtree(os.environ["FAULT_LAYER"], ignore_errors=True)
    import quick_files
    import standin_tensorflow

    quick_files.install()
    standin_tensorflow.install()
    import export_stage
    import pusher

    export_stage.install()
    pusher.install()
    from tfrs_pretrain.progress import console

    console.quiet = True
    gc.collect()
    gc.freeze()  # modules: every later collection, and every fork, is faster
    gc.set_threshold(100_000)


def in_processes(jobs, call):
    """Calls ``call(job)`` in a process for each job; returns whether any of them returned a true value."""
    children = []
    for job in range(jobs):
        child = os.fork()
        if not child:
            status = 1
            try:
                status = int(bool(call(job)))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    for code in (code for code in codes if code < 0):
        print(f"a process was ended by signal {-code}", file=sys.stderr)
    return any(codes)


def arguments():
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of all lives")
    parser.add_argument("--weeks", type=int, default=1040, help="weeks in total")
    parser.add_argument("--life", type=int, help="run only the life with this number")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of processes")
    parser.add_argument("--trace", action="store_true", help="print every step")
    parser.add_argument("--bug", help="plant this bug")
    parser.add_argument("--bugs", action="store_true", help="plant every bug in turn and print when it was noticed")
    parser.add_argument("--every", type=int, default=1, help="with --bugs, only every n-th bug")
    return parser.parse_args()


def main():
    """Runs the lives."""
    from campaign_of_lives import catch_all, run_lives

    given, begin = arguments(), time.monotonic()
    if given.bugs:
        sys.exit(in_processes(given.jobs, lambda job: catch_all(given.seed, job, given.jobs, given.every)))
    lives = [given.life] if given.life is not None else list(range(-(-given.weeks // 52)))
    jobs = min(given.jobs, len(lives))
    failed = in_processes(jobs, lambda job: run_lives(given.seed, lives[job::jobs], bug=given.bug, trace=given.trace))
    weeks, seconds = 52 * len(lives), time.monotonic() - begin
    if not failed:
        print(f"{weeks:,} weeks without a violation in {seconds:.0f} s: {weeks / seconds:.1f} weeks/s")
    sys.exit(failed)


if __name__ == "__main__":
    start()
    main()
