"""What is kept of a run: every epoch's figures, in TensorBoard, in metrics.csv and as a line on the console."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L
from torch import Tensor

from digits.data.chunks import Chunk
from digits.data.datamodule import MNISTDataModule
from digits.data.pagemodule import PagesDataModule
from digits.errors import DivergedError
from digits.files import csv_text, write_text
from digits.runs import METRICS_FILE, read_metrics
from digits.tracking.console import log
from digits.tracking.tensorboard import TensorBoard

SHARES = ("accuracy", "precision", "recall")
"""What the console says of a stage beside its loss, where the network has it."""


class Tracker(L.Callback, ABC):
    """Follow training and validation, and write their figures to a run's folder.

    Args:
        folder: where metrics.csv is kept.
        board: the run's TensorBoard.
        data: what the run trains on and is tested with.
    """

    def __init__(self, folder: Path, board: TensorBoard, data: MNISTDataModule | PagesDataModule) -> None:
        self.data = data
        self.file = folder / METRICS_FILE
        self.board = board
        self.curve: list[tuple[int, Mapping[str, Tensor | float]]] = []
        """A point a chunk of the epoch, by the optimizer step."""
        self.epochs = read_metrics(folder)
        """A row an epoch, the rows of metrics.csv."""
        self.tested: dict[str, float] = {}
        """The figures of the test, and of what validation says of the confidence; none where nothing is tested."""

    def state_dict(self) -> dict[str, Any]:
        """Return what the epoch has so far: the points of its curves, and the seconds it took.

        Raises:
            DivergedError: if a loss is not a number any more, so that what was kept before it stays.
        """
        self._check_losses()
        seconds = time.perf_counter() - self.started if self.curve else 0.0
        return {"curve": [(step, floats(values)) for step, values in self.curve], "seconds": seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.curve = state_dict["curve"]
        self.started = time.perf_counter() - state_dict["seconds"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the rows of the epochs that a run which goes on has behind it."""
        self.epochs = [row for row in self.epochs if row["epoch"] < trainer.current_epoch]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self.curve = []
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Chunk, batch_idx: int
    ) -> None:
        """Keep the chunk's point of each curve, on the device, and stop the clock after the last chunk."""
        self.curve.append((trainer.global_step, {tag: value for tag, value in outputs.items() if "/" in tag}))
        if trainer.is_last_batch:
            float(outputs["train/loss"])  # waits for a GPU to finish
            self.seconds = time.perf_counter() - self.started

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the epoch: its curves and figures to TensorBoard, a row to metrics.csv, a line to the console."""
        step = trainer.global_step
        self._check_losses()
        for chunk_step, values in self.curve:
            self.board.add_values(floats(values), chunk_step)
        validated = {tag: value for tag, value in trainer.callback_metrics.items() if tag.startswith("val/")}
        row = floats({**self.curve[-1][1], **cast(Any, pl_module).train_metrics.compute(), **validated})
        row["train/images_per_second"] = self.data.images_in(trainer.current_epoch) / self.seconds
        row["train/seconds"] = round(time.perf_counter() - self.started, 3)  # with validation
        self.epochs.append({"epoch": trainer.current_epoch, "step": step, **row})
        write_text(self.file, csv_text(self.epochs))
        self.board.add_values({tag: row[tag] for tag in (*validated, "train/images_per_second")}, step)
        if validated:
            self.add_validation(pl_module, step)
        self.curve = []
        self.board.flush()  # before a checkpoint says that this is done
        log.info(_line(trainer.current_epoch + 1, cast(int, trainer.max_epochs), row))

    @abstractmethod
    def add_validation(self, module: L.LightningModule, step: int) -> None:
        """Show what is to be seen of a validation."""

    def _check_losses(self) -> None:
        before = 0 if not self.epochs else int(self.epochs[-1]["step"])
        for step, values in self.curve:
            if not math.isfinite(loss := float(values["train/loss"])):
                where = f"between optimizer steps {before + 1} and {step}"
                right = "try a lower optimizer.learning_rate, or data in the right range"
                raise DivergedError(f"train/loss={loss}: is not a number any more, from {where} on; {right}")
            before = step


def floats(values: Mapping[str, Tensor | float]) -> dict[str, float]:
    """Return plain numbers, of as many digits as float32 has."""
    return {tag: float(f"{float(value):.7g}") for tag, value in values.items()}


def _line(epoch: int, epochs: int, figures: dict[str, float]) -> str:
    stages = [stage for stage in ("train", "val") if f"{stage}/loss" in figures]
    parts = []
    for stage in stages:
        shares = [name for name in SHARES if f"{stage}/{name}" in figures]
        words = [
            f"{stage} loss {figures[f'{stage}/loss']:.4f}",
            *(f"{name} {figures[f'{stage}/{name}']:.2%}" for name in shares),
        ]
        parts.append(" ".join(words))
    speed = f"{figures['train/images_per_second']:,.0f} images/s"
    return "  ".join((f"epoch {epoch:>{len(str(epochs))}}/{epochs}", *parts, speed))
