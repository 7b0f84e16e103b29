"""Runs lives one after another, and reduces the steps of one that violates an invariant."""

import dataclasses
import sys
import traceback

from invariants import ViolationError
from life import digest, drawn_steps, live
from planted_bugs import BUGS, FIRST_LIFE, planted

WEEKS_TO_CATCH = 2000


@dataclasses.dataclass(frozen=True)
class Failure:
    """A life that failed.

    Attributes:
      kind: the invariant, or the class of another error.
      text: what was found.
      steps: the steps up to the failure.
    """

    kind: str
    text: str
    steps: list


def failure(life, steps, trace=None):
    """Lives a life; returns how it failed, or None. The lines of its trace are added to a list."""
    taken = []
    try:
        lines = live(life, steps, taken)
    except ViolationError as error:
        return Failure(error.invariant, str(error), taken)
    except Exception as error:
        return Failure(type(error).__name__, traceback.format_exc(), taken)
    if trace is not None:
        trace += lines
    return None


def run_lives(seed, numbers, *, bug=None, trace=False):
    """Runs lives until one fails.

    Args:
      seed: of all lives.
      numbers: of the lives.
      bug: name of a planted bug; None: the product as it is.
      trace: prints every step.

    Returns:
      Whether a life failed; it is reported on standard error, with its reduced steps. The others are printed with a
      digest of their trace.
    """
    for number in numbers:
        life = f"{seed}.{number}"
        steps, lines = drawn_steps(life), []
        with planted(bug):
            found = failure(life, steps, lines)
            if found:
                report(seed, number, found, bug)
                return True
        if trace:
            print("\n".join(lines))
        print(f"life {number}: {len(lines)} steps, trace {digest(lines)}", flush=True)
    return False


def catch(bug, seed):
    """Returns the weeks until a planted bug is noticed and how; None if 2,000 weeks do not suffice."""
    weeks = 0
    numbers = range(WEEKS_TO_CATCH // 52)
    for number in sorted(numbers, key=lambda number: number < FIRST_LIFE[bug]):
        life = f"{seed}.{number}"
        with planted(bug):
            found = failure(life, drawn_steps(life))
        if found:
            return weeks + found.steps[-1].week + 1, found.kind
        weeks += 52
    return None


def catch_all(seed, job, jobs, every=1):
    """Prints a line for each planted bug, or each ``every``-th; returns whether one was not noticed."""
    is_missed = False
    for bug in list(BUGS)[::every][job::jobs]:
        caught = catch(bug, seed)
        is_missed |= caught is None
        print(f"{f'after {caught[0]} weeks' if caught else 'NOT NOTICED':16} {bug}: {caught and caught[1]}", flush=True)
    return is_missed


def shrink(life, found, attempts=100):
    """Removes steps and faults as long as the life fails in the same way; returns the reduced failure."""
    size = len(found.steps) // 2
    while size:
        start = 0
        while start < len(found.steps) and attempts > 0:
            attempts -= 1
            fewer = failure(life, found.steps[:start] + found.steps[start + size:])
            if fewer and fewer.kind == found.kind:
                found = fewer
            else:
                start += size
        size //= 2
    for place in [place for place, step in enumerate(found.steps) if step.fault]:
        steps = [*found.steps]
        steps[place] = steps[place].without_fault()
        fewer = failure(life, steps)
        if fewer and fewer.kind == found.kind and len(fewer.steps) == len(found.steps):
            found = fewer
    return found


def report(seed, number, found, bug):
    """Prints a failure and the steps that are needed to see it."""
    print(f"seed {seed}, life {number}, after {len(found.steps)} steps: {found.kind}", file=sys.stderr, flush=True)
    print(found.text, file=sys.stderr, flush=True)
    fewer = shrink(f"{seed}.{number}", found)
    print(f"{len(fewer.steps)} of {len(found.steps)} steps are needed:", *map(str, fewer.steps), sep="\n  ",
          file=sys.stderr)
    planted_bug = f" BUG='{bug}'" if bug else ""
    print(f"run it again: make simulate SEED={seed} LIFE={number}{planted_bug}", file=sys.stderr)
