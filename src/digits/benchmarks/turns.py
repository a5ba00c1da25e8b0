"""Contenders in processes of their own that take turns, so that all see the same machine."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, cast


class Turns:
    """A contender's side: what it calls before each turn.

    Args:
        pipe: to the one who gives the turns.
    """

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.started = time.perf_counter()

    def wait(self, images: int = 0) -> None:
        """Report the images of the turn that is over, and wait for the next."""
        self.pipe.send((images, time.perf_counter() - self.started))
        self.pipe.recv()
        self.started = time.perf_counter()


@dataclass(frozen=True)
class Contender:
    """Who takes turns: a function that has a module of its own, since another process imports it, and its arguments."""

    name: str
    work: Callable[..., None]
    """Takes a Turns and `arguments`, and goes on taking turns until it is stopped."""
    arguments: dict[str, Any]


def images_per_second(contenders: list[Contender], rounds: int, say: Callable[[str], None]) -> dict[str, list[float]]:
    """Let contenders take turns, one round to warm up and then those that are counted.

    Args:
        contenders: who takes turns.
        rounds: how many are counted.
        say: takes a line about how far it is.

    Returns:
        By the contenders' names, images/s of each round.

    Raises:
        RuntimeError: if one of them dies.
        Exception: what one of them raises.
    """
    context = multiprocessing.get_context("spawn")
    processes, pipes = [], {}
    try:
        for one in contenders:
            pipes[one.name], theirs = context.Pipe()
            processes.append(context.Process(target=_work, args=(one.work, theirs, one.arguments), daemon=True))
            processes[-1].start()
            theirs.close()
        for name, pipe in pipes.items():
            _answer(pipe, name)
            say(f"{name} is ready")
        rates: dict[str, list[float]] = {one.name: [] for one in contenders}
        for number in range(rounds + 1):
            for name, pipe in pipes.items():
                pipe.send(None)
                images, seconds = _answer(pipe, name)
                if number:
                    rates[name].append(images / seconds)
            say("warmed up" if number == 0 else f"round {number} of {rounds}")
        return rates
    finally:
        for process in processes:
            process.kill()
            process.join()


def ratio(first: list[float], second: list[float]) -> float:
    """Give the median over the rounds of how many times the first is the second."""
    return median(one / other for one, other in zip(first, second, strict=True))


def _answer(pipe: Connection, name: str) -> tuple[int, float]:
    try:
        answer = pipe.recv()
    except EOFError as error:
        raise RuntimeError(f"the process of {name} ended") from error
    if isinstance(answer, Exception):
        raise answer
    return cast("tuple[int, float]", answer)


def _work(work: Callable[..., None], pipe: Connection, arguments: dict[str, Any]) -> None:
    try:
        work(Turns(pipe), **arguments)
    except Exception as error:
        pipe.send(error)
        raise
