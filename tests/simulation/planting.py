"""Planting of bugs: functions of the product are replaced by wrong ones for a while."""

import contextlib

BUGS, FIRST_LIFE = {}, {}


def bug(*, first=0):
    """Registers a planted bug: the docstring is its name, and it yields (object, attribute, wrong value).

    Args:
      first: number of the life in which it is looked for first, to save time.
    """
    def register(function):
        BUGS[function.__doc__], FIRST_LIFE[function.__doc__] = function, first
        return function

    return register


@contextlib.contextmanager
def planted(name):
    """The product has a bug in the body."""
    before = []
    for target, attribute, value in BUGS[name]() if name else ():
        before.append((target, attribute, vars(target)[attribute]))
        setattr(target, attribute, value)
    try:
        yield
    finally:
        for target, attribute, value in reversed(before):
            setattr(target, attribute, value)
