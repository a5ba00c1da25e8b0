"""Contenders for the tests, in a module that another process imports quickly."""

from digits.benchmarks.turns import Turns


def steady(turns: Turns, images: int) -> None:
    """Take turns of no work."""
    while True:
        turns.wait(images)


def broken(turns: Turns) -> None:
    """Fail in the first turn."""
    turns.wait()
    raise ValueError("as it must")


def ended(turns: Turns) -> None:
    """End in the first turn."""
    turns.wait()
