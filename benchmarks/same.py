"""Do two commits compute the same? Exit code 0 if they do, 1 if not, 2 if it could not be found out.

    python benchmarks/same.py BASE            the working tree against BASE
    python benchmarks/same.py BASE HERE       one commit against another

Both commits run the shrunk demo and planted logs on this machine. The contents of what they wrote are compared: bytes
of TFRecords, vocabularies, Stage I rows, tables and network weights of the rankers, predictions, exported variables and
the answers of exported models to the same requests; beside these, all metrics, losses and counts in JSON files. The
comparison needs about four minutes on two cores. ``sameness/scenarios.py`` says what is run.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from sameness.checkouts import resolve, snapshot, untracked
from sameness.comparison import failures
from sameness.errors import CouldNotRunError
from sameness.run import Side, run_and_compare
from sameness.scenarios import SCENARIOS
from sameness.table import lines

REPOSITORY = Path(__file__).resolve().parents[1]
COULD_NOT_RUN = 2


def main() -> int:
    """Runs the comparison and returns the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _compare(options)
    except CouldNotRunError as error:
        print(f"could not run: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped; the worktrees are removed", file=sys.stderr)
    return COULD_NOT_RUN


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares what two commits compute.")
    parser.add_argument("base", help="commit to compare with")
    parser.add_argument("here", nargs="?", help="the other commit (default: the tracked files of the working tree)")
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="run only this scenario; may be repeated")
    parser.add_argument("--change", action="append", default=[], metavar="KEY=VALUE",
                        help="a setting for the second commit only, to see the comparison fail; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (default: 2)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep results and logs in this new folder")
    options = parser.parse_args()
    if options.keep and options.keep.exists():
        parser.error(f"--keep {options.keep} exists: name a new folder")
    return options


def _compare(options: argparse.Namespace) -> int:
    started = time.monotonic()
    base = Side("base", resolve(REPOSITORY, options.base))
    here = Side("here", resolve(REPOSITORY, options.here) if options.here else snapshot(REPOSITORY), options.change)
    if not options.here and (left_out := untracked(REPOSITORY)):
        print(f"left out because git does not track them: {' '.join(left_out)}", file=sys.stderr)
    print(f"base {base.commit[:10]}, here {here.commit[:10]}{' (working tree)' * (not options.here)}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="same-")) if options.keep is None else options.keep.resolve()
    try:
        outcomes, not_compared = run_and_compare(REPOSITORY, [base, here], options.only or list(SCENARIOS), folder,
                                                 at_once=options.jobs)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(lines(outcomes, not_compared)))
    failed = failures(outcomes)
    verdict = f"different: {len(failed)} of" if failed else "same:"
    print(f"{verdict} {len(outcomes)} contents, {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
