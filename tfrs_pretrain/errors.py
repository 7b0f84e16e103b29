"""The error class for mistakes that the user can correct."""


class UserError(Exception):
    """Invalid input, configuration or state that the user can correct.

    The message is one line: what was expected, what was received, what to do next. The command line prints it alone and
    exits with 2.
    """
