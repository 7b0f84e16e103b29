"""The one error of the comparison."""


class CouldNotRunError(Exception):
    """A commit could not be checked out or run, so nothing is known about sameness."""
