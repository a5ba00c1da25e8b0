"""The one error that a user can cause."""


class UserError(Exception):
    """Wrong input from the user; shown as one line, without a traceback, exit code 2.

    The message names the setting or the file, what was found there and what would be right.
    """
