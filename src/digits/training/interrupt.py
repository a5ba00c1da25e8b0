"""Checkpoints in the middle of epochs, and a run that stops so that it can go on."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.callbacks import Callback

from digits.runs import EXIT_OUT_OF_TIME

CHECKPOINT_EVERY = 60.0
"""Seconds between checkpoints in the middle of an epoch: what a run that is killed loses at most."""

UNITS = (1, 60, 3600, 86_400)
"""Seconds of a second, a minute, an hour and a day."""


def seconds(duration: str) -> int:
    """Return how many seconds [[days:]hours:]minutes:seconds are."""
    return sum(unit * int(number) for unit, number in zip(UNITS, reversed(duration.split(":")), strict=False))


class InterruptCheckpoint(Callback):
    """Saves in the middle of epochs, every so often, and when the run is to stop: by Ctrl-C, SIGTERM or its time limit.

    A chunk of steps, the test or model.onnx is finished first, because Python loses what is raised while it calls back;
    a second Ctrl-C does not wait for that.

    Args:
        checkpoint: where to save.
        max_time: how long the run may take, as trainer.max_time has it; None for any time.
    """

    def __init__(self, checkpoint: Path, max_time: str | None) -> None:
        self.checkpoint = checkpoint
        self.end = time.monotonic() + (math.inf if max_time is None else seconds(max_time))
        self.exit_code: int | None = None
        """What the program is to stop with; None while it is not."""
        self.waits = False
        """Whether a signal waits for what is being done; before training there is nothing to lose."""
        self.has_stepped = False
        """Whether there is progress; a time limit waits for some, or a run that goes on might never have any."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM ask for the end."""
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        at_once = self.exit_code is not None or not self.waits
        self.exit_code = 128 + number  # as a shell has it
        if at_once:
            raise KeyboardInterrupt

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self.waits = True
        self.due = time.monotonic() + CHECKPOINT_EVERY

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop, where that is asked for; the epoch before has been saved."""
        if self._any_process(trainer, self._is_to_stop()) and self.checkpoint.exists():
            raise SystemExit

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is time, and stop where that is asked for; but not before validation, at an epoch's end."""
        self.has_stepped = True
        if trainer.is_last_batch:
            return
        to_stop = self._any_process(trainer, self._is_to_stop())
        if to_stop or self._any_process(trainer, time.monotonic() >= self.due):
            trainer.save_checkpoint(self.checkpoint)
            self.due = time.monotonic() + CHECKPOINT_EVERY
        if to_stop:
            raise SystemExit

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop, where that is asked for."""
        if self._any_process(trainer, self.exit_code is not None):
            raise SystemExit

    def stop_if_asked(self) -> None:
        """Stop, where that is asked for, between testing and writing.

        Raises:
            KeyboardInterrupt: as if it were asked for now.
        """
        if self.exit_code is not None:
            raise KeyboardInterrupt

    @staticmethod
    def _any_process(trainer: L.Trainer, wish: bool) -> bool:
        """Whether one of the processes wishes it, because all must do the same."""
        return trainer.strategy.reduce_boolean_decision(wish, all=False)

    def _is_to_stop(self) -> bool:
        if self.exit_code is None and self.has_stepped and time.monotonic() >= self.end:
            self.exit_code = EXIT_OUT_OF_TIME
        return self.exit_code is not None
