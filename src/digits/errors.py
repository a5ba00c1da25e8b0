"""The one error that a user can cause, and what raises it."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

REFUSALS = {errno.EACCES, errno.EDQUOT, errno.ENAMETOOLONG, errno.ENOSPC, errno.EROFS}
"""Errors that a user can mend and our code cannot: no permission, no room, a name that is too long."""


class UserError(Exception):
    """Wrong input from the user; shown as one line, without a traceback, exit code 2.

    The message names the setting or the file, what was found there and what is expected.
    """


class DivergedError(UserError):
    """A run whose loss is not a number any more."""


def require(condition: bool, key: str, value: object, expected: str) -> None:
    """Raise a UserError that names the setting, its value and what is expected, unless the condition holds."""
    if not condition:
        raise UserError(f"{key}={as_yaml(value)}: must be {expected}")


def as_yaml(value: object) -> object:
    """Return a setting's value as it is written in a config."""
    return "null" if value is None else value


def raise_all(errors: Sequence[UserError]) -> None:
    """Raise several errors as one, a line each; nothing where there are none."""
    if errors:
        raise UserError("\nerror: ".join(map(str, errors)))


@contextmanager
def renamed_setting(name: str, to: str) -> Iterator[None]:
    """Let an error that begins with one setting name another, which the user typed."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(f"{name}=", f"{to}=", 1)) from error


@contextmanager
def refused_files() -> Iterator[None]:
    """Turn what the system refuses to do with a file into a UserError, wherever that comes up."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        raise UserError(f"{error.filename or 'the disk'}: {error.strerror}") from error
