"""Processes that work for this one, on all cores, and are gone when it is."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any


def start_workers(count: int | None, begin: Callable[..., object] | None = None, *args: Any) -> ProcessPoolExecutor:
    """Return processes that load what works and nothing else; a fork of this one would copy its threads badly.

    Args:
        count: how many; None for as many as there are cores.
        begin: what each calls first.
        *args: what it is called with.
    """
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin, (begin, args))


@contextmanager
def workers(count: int | None, begin: Callable[..., object] | None = None, *args: Any) -> Iterator[ProcessPoolExecutor]:
    """Yield what `start_workers` returns; an error or Ctrl-C ends the processes at once, whatever they are at."""
    executor = start_workers(count, begin, *args)
    try:
        yield executor
    except BaseException:
        for process in multiprocessing.active_children():
            process.kill()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _begin(begin: Callable[..., object] | None, args: tuple[Any, ...]) -> None:
    # a terminal sends it to all processes, and the one that started this one answers it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin(*args)


def _end_with_parent() -> None:
    """Wait for the process that started this one, which may be killed, and end."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
