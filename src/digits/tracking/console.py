"""What a run logs while it goes, on the console and in train.log, and a progress bar in a terminal."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from digits.data.chunks import Chunk

log = logging.getLogger("digits")

REFRESH = 0.2
"""Seconds; faster than that nobody reads."""

console = Console(stderr=True)
"""Both the progress bar's and the log's, so that a line goes above the bar and not through it."""


class AboveBar(logging.Handler):
    """Prints lines above the progress bar, unbroken, so that a command can be copied from there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        console.print(self.format(record), markup=False, soft_wrap=True)


@contextmanager
def logging_to(file: Path | None, quiet: bool = False) -> Iterator[None]:
    """Send what a run says to the console and to a file.

    Args:
        file: train.log in the run's folder, which is added to; None for the console alone.
        quiet: whether to leave the console out.
    """
    handlers: list[logging.Handler] = []
    if not quiet:
        on_screen: logging.Handler = logging.StreamHandler()
        if console.is_terminal:
            on_screen = AboveBar()
        on_screen.setFormatter(logging.Formatter("%(message)s"))
        handlers.append(on_screen)
    if file is not None:
        in_file = logging.FileHandler(file, encoding="utf-8")
        in_file.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
        handlers.append(in_file)
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in handlers:
        log.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


def log_tested(tested: dict[str, float]) -> None:
    """Log what a test gave, its figures by their tags."""
    log.info("test accuracy  %.2f %%", 100 * tested["test/accuracy"])
    log.info("test loss      %.4f", tested["test/loss"])
    if "own_digits/accuracy" in tested:
        accuracy = 100 * tested["own_digits/accuracy"]
        log.info("your digits    %.2f %% are read correctly, now that it was trained on them", accuracy)
    before, after = (100 * tested[f"test/{stage}/ece"] for stage in ("uncalibrated", "calibrated"))
    if "val/temperature" in tested:
        log.info(
            "confidence     off by %.2f %%, and by %.2f %% after the temperature that validation gave", before, after
        )
    else:
        log.info("confidence     off by %.2f %%; nothing was held out to give a temperature", before)


class ProgressBar(L.Callback):
    """A bar over all optimizer steps of the run; Lightning's own would count chunks.

    Args:
        data: what the run trains on.
    """

    def __init__(self, data: Any) -> None:
        self.data = data
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps, loss {task.fields[loss]:.4f}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the bar where the run stands, which is not at 0 where it goes on."""
        steps = self.data.steps(cast(int, trainer.max_epochs))
        self.task = self.bar.add_task("", total=steps, completed=trainer.global_step, epoch=0, loss=float("nan"))
        self.bar.start()
        self.due = 0.0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Chunk, batch_idx: int
    ) -> None:
        """Move the bar, now and then: for the loss a GPU would have to finish the chunk first."""
        if not trainer.is_last_batch and time.perf_counter() < self.due:
            return
        self.due = time.perf_counter() + REFRESH
        epoch, loss = trainer.current_epoch + 1, float(outputs["train/loss"])
        self.bar.update(self.task, completed=trainer.global_step, epoch=epoch, loss=loss)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remove the bar; the lines stay."""
        self.bar.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Remove the bar, so that the terminal is as it was."""
        self.bar.stop()
