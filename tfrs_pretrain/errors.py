"""The one error a user is meant to see: a single line that names the thing, what was expected, what to do."""


class UserError(Exception):
    """Input, configuration or state that the user can mend. The command line prints it alone and exits 2."""
