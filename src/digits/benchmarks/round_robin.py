"""Contenders in processes of their own that take turns, so that all see the same machine."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, cast


class RoundRobin:
    """A contender's side of taking turns: what it calls before each.

    Args:
        pipe: to the one who gives the turns.
    """

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.started = time.perf_counter()

    def wait(self, images: int = 0, seconds: float | None = None) -> None:
        """Report the images of the turn that is over, and its seconds where not all of it counts; wait for the next."""
        self.pipe.send((images, seconds or time.perf_counter() - self.started))
        self.pipe.recv()
        self.started = time.perf_counter()


Report = Callable[[str], None]
"""Takes a line about how far it is."""

Seconds = dict[str, list[float]]
"""By who was measured, the figure of each round: seconds, or images/s."""


@dataclass(frozen=True)
class Contender:
    """Who takes turns: a function that has a module of its own, since another process imports it, and its arguments."""

    name: str
    work: Callable[..., None]
    """Takes a RoundRobin and `arguments`, and goes on taking turns until it is stopped."""
    arguments: dict[str, Any]


def images_per_second(contenders: list[Contender], rounds: int, report: Report) -> Seconds:
    """Let contenders take turns, one round to warm up and then those that are counted.

    Args:
        contenders: who takes turns.
        rounds: how many are counted.
        report: takes a line about how far it is.

    Returns:
        By the contenders' names, images/s of each round.

    Raises:
        RuntimeError: if one of them dies.
        Exception: what one of them raises.
    """
    context = multiprocessing.get_context("spawn")
    processes, pipes = [], {}
    try:
        for contender in contenders:
            pipes[contender.name], theirs = context.Pipe()
            arguments = (contender.work, theirs, contender.arguments)
            processes.append(context.Process(target=_work, args=arguments, daemon=True))
            processes[-1].start()
            theirs.close()
        for name, pipe in pipes.items():
            _wait_for(pipe, name)
            report(f"{name} is ready")
        rates: Seconds = {contender.name: [] for contender in contenders}
        for number in range(rounds + 1):
            for name, pipe in pipes.items():
                pipe.send(None)
                images, seconds = _wait_for(pipe, name)
                if number:
                    rates[name].append(images / seconds)
            report("warmed up" if number == 0 else f"round {number} of {rounds}")
        return rates
    finally:
        for process in processes:
            process.kill()
            process.join()


def ratio(first: list[float], second: list[float]) -> float:
    """Return the median over the rounds of how many times the first is the second."""
    return median(numerator / denominator for numerator, denominator in zip(first, second, strict=True))


def _wait_for(pipe: Connection, name: str) -> tuple[int, float]:
    try:
        message = pipe.recv()
    except EOFError as error:
        raise RuntimeError(f"the process of {name} ended") from error
    if isinstance(message, Exception):
        raise message
    return cast("tuple[int, float]", message)


def _work(work: Callable[..., None], pipe: Connection, arguments: dict[str, Any]) -> None:
    try:
        work(RoundRobin(pipe), **arguments)
    except Exception as error:
        pipe.send(error)
        raise
