"""What is kept of a run: every epoch's figures, in TensorBoard, in metrics.csv and as a line on the console."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from digits.data.chunks import Chunk
from digits.data.datamodule import MNISTDataModule
from digits.data.synthetic.strokes import contact_sheet
from digits.errors import DivergedError
from digits.files import csv_text, write_text
from digits.runs import METRICS_FILE, read_metrics
from digits.tracking import pictures
from digits.tracking.console import log
from digits.tracking.tensorboard import TensorBoard, digits_table


class Measured(Protocol):
    """A LightningModule whose figures can be tracked."""

    network: nn.Module
    train_metrics: MetricCollection
    test_metrics: MetricCollection
    confusion_matrix: Metric
    trained_steps: int


class Tracker(L.Callback):
    """Follow training, validation and test, and write their figures to a run's folder.

    Args:
        folder: where metrics.csv is kept.
        board: the run's TensorBoard.
        data: what the run trains on and is tested with.
    """

    def __init__(self, folder: Path, board: TensorBoard, data: MNISTDataModule) -> None:
        self.data = data
        self.file = folder / METRICS_FILE
        self.board = board
        self.curve: list[tuple[int, Mapping[str, Tensor | float]]] = []
        """A point a chunk of the epoch, by the optimizer step."""
        self.epochs = read_metrics(folder)
        """A row an epoch, the rows of metrics.csv."""
        self.tested: dict[str, float] = {}
        """The figures of the test, and of what validation says of the confidence."""

    def state_dict(self) -> dict[str, Any]:
        """Return what the epoch has so far: the points of its curves, and the seconds it took.

        Raises:
            DivergedError: if a loss is not a number any more, so that what was kept before it stays.
        """
        self._check_losses()
        seconds = time.perf_counter() - self.started if self.curve else 0.0
        return {"curve": [(step, _floats(values)) for step, values in self.curve], "seconds": seconds}

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

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Chunk, batch_idx: int
    ) -> None:
        """Show the run's first mini-batch, as the network sees it."""
        if trainer.global_step == 0:
            first = next(iter(batch))
            batch_picture = pictures.batch(first.images[:, 0].cpu().numpy(), first.labels.cpu().numpy())
            self.board.add_picture("train/batch", batch_picture, 0)
            if self.data.config.synthetic_fraction:
                self.board.add_picture("data/synthetic", pictures.forms(contact_sheet()), 0)
            self.board.flush()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Chunk, batch_idx: int
    ) -> None:
        """Keep the chunk's point of each curve, on the device, and stop the clock after the last chunk."""
        self.curve.append((trainer.global_step, outputs))
        if trainer.is_last_batch:
            float(outputs["train/loss"])  # waits for a GPU to finish
            self.seconds = time.perf_counter() - self.started

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the epoch: its curves and figures to TensorBoard, a row to metrics.csv, a line to the console."""
        module, step = cast(Measured, pl_module), trainer.global_step
        self._check_losses()
        for chunk_step, values in self.curve:
            self.board.add_values(_floats(values), chunk_step)
        validated = {tag: value for tag, value in trainer.callback_metrics.items() if tag.startswith("val/")}
        row = _floats({**self.curve[-1][1], **module.train_metrics.compute(), **validated})
        row["train/images_per_second"] = self.data.images_in(trainer.current_epoch) / self.seconds
        row["train/seconds"] = round(time.perf_counter() - self.started, 3)  # with validation
        self.epochs.append({"epoch": trainer.current_epoch, "step": step, **row})
        write_text(self.file, csv_text(self.epochs))
        self.board.add_values({tag: row[tag] for tag in (*validated, "train/images_per_second")}, step)
        if validated:
            self._add_confusion_matrix("val", module, step)
        self.curve = []
        self.board.flush()  # before a checkpoint says that this is done
        log.info(_line(trainer.current_epoch + 1, cast(int, trainer.max_epochs), row))

    def _add_confusion_matrix(self, stage: str, module: Measured, step: int) -> None:
        counts = module.confusion_matrix.compute().cpu().numpy()
        correct, images = counts.trace(), counts.sum()
        title = f"{stage}: {correct:,} of {images:,} correct ({correct / images:.2%})"
        self.board.add_picture(f"{stage}/confusion_matrix", pictures.confusion_matrix(counts, title), step)
        if stage == "test":
            self.board.add_text("test/digits", digits_table(counts), step)

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to collect."""
        self._probabilities: list[Tensor] = []

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Chunk,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect the probabilities of each test image."""
        self._probabilities.append(outputs["probabilities"])

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the test to TensorBoard."""
        module = cast(Measured, pl_module)
        board, step, probabilities = self.board, module.trained_steps, self.test_probabilities.numpy()
        images, labels = self.data.test_set.images.numpy(), self.data.test_set.labels.numpy()
        self.tested = _floats(module.test_metrics.compute())
        board.add_values(self.tested, step)
        self._add_confusion_matrix("test", module, step)
        board.add_picture("test/first_ten", pictures.predictions(images[:10], probabilities[:10]), step)
        board.add_picture("test/misread", pictures.misread(images, labels, probabilities), step)
        for digit in range(probabilities.shape[1]):
            board.add_pr_curve(f"test/pr_curve/{digit}", labels == digit, probabilities[:, digit], step)
        first = next(layer for layer in module.network.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
        weights = first.weight.detach().cpu().numpy()
        side = weights.shape[-1] if weights.ndim == 4 else round(weights.shape[-1] ** 0.5)
        board.add_picture("model/first_layer", pictures.first_layer(weights.reshape(len(weights), -1, side)), step)

    def add_calibration(self, values: dict[str, float], after: Tensor, step: int) -> None:
        """Add what calibration gave, by tags, and the test's probabilities [N, 10] after it."""
        self.tested |= values
        self.board.add_values(values, step)
        stages = {"before": self.test_probabilities.numpy(), "after": after.numpy()}
        picture = pictures.reliability(stages, self.data.test_set.labels.numpy())
        self.board.add_picture("test/reliability", picture, step)

    @property
    def test_probabilities(self) -> Tensor:
        """Of the test images, float32 [N, 10], on the CPU; after the test."""
        return torch.cat(self._probabilities).cpu()

    def _check_losses(self) -> None:
        before = 0 if not self.epochs else int(self.epochs[-1]["step"])
        for step, values in self.curve:
            if not math.isfinite(loss := float(values["train/loss"])):
                where = f"between optimizer steps {before + 1} and {step}"
                right = "try a lower optimizer.learning_rate, or data in the right range"
                raise DivergedError(f"train/loss={loss}: is not a number any more, from {where} on; {right}")
            before = step


class SyncMetrics(L.Callback):
    """In another process than the first, which keeps the figures: takes part where they are added up."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take part."""
        cast(Measured, pl_module).train_metrics.compute()


def _floats(values: Mapping[str, Tensor | float]) -> dict[str, float]:
    return {tag: float(f"{float(value):.7g}") for tag, value in values.items()}  # float32 has seven digits


def _line(epoch: int, epochs: int, figures: dict[str, float]) -> str:
    stages = [stage for stage in ("train", "val") if f"{stage}/loss" in figures]
    parts = [
        f"{stage} loss {figures[f'{stage}/loss']:.4f} accuracy {figures[f'{stage}/accuracy']:.2%}" for stage in stages
    ]
    speed = f"{figures['train/images_per_second']:,.0f} images/s"
    return "  ".join((f"epoch {epoch:>{len(str(epochs))}}/{epochs}", *parts, speed))
