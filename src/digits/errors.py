"""The one error that a user can cause, and the checks that raise it."""

from collections.abc import Sequence


class UserError(Exception):
    """Wrong input from the user; shown as one line, without a traceback, exit code 2.

    The message names the setting or the file, what was found there and what would be right.
    """


class DivergedError(UserError):
    """A run whose loss is not a number any more."""


def require(condition: bool, key: str, value: object, right: str) -> None:
    """Raise a UserError that names the setting, its value and what would be right, unless the condition holds."""
    if not condition:
        raise UserError(f"{key}={value}: must be {right}")


def require_one_of(key: str, value: object, choices: Sequence[str]) -> None:
    """Raise a UserError unless the value is one of the choices."""
    require(value in choices, key, value, "one of " + ", ".join(choices))
