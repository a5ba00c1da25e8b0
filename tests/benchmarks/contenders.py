"""Contenders for the tests, in a module that another process imports quickly."""

from digits.benchmarks.round_robin import RoundRobin


def steady(turns: RoundRobin, images: int) -> None:
    """Take turns of no work."""
    while True:
        turns.wait(images)


def broken(turns: RoundRobin) -> None:
    """Fail in the first turn."""
    turns.wait()
    raise ValueError("as it must")


def ended(turns: RoundRobin) -> None:
    """End in the first turn."""
    turns.wait()
