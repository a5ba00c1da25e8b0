"""What TensorBoard shows of a network of images of digits: its batches, its mistakes, and its test."""

from typing import Any, Protocol, cast

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from digits.data.chunks import Chunk
from digits.data.datamodule import MNISTDataModule
from digits.data.synthetic.strokes import form_sheet
from digits.tracking import pictures
from digits.tracking.tensorboard import digits_table
from digits.tracking.tracker import Tracker, floats


class Measured(Protocol):
    """A LightningModule whose mistakes can be shown."""

    network: nn.Module
    test_metrics: MetricCollection
    confusion_matrix: Metric
    trained_steps: int


class DigitTracker(Tracker):
    """Follow training, validation and test of a network of images of digits."""

    data: MNISTDataModule

    def add_validation(self, module: L.LightningModule, step: int) -> None:
        """Show which digits were taken for which."""
        self._add_confusion_matrix("val", cast(Measured, module), step)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Chunk, batch_idx: int
    ) -> None:
        """Show the run's first mini-batch, as the network sees it."""
        if trainer.global_step == 0:
            first = next(iter(batch))
            batch_picture = pictures.batch(first.images[:, 0].cpu().numpy(), first.labels.cpu().numpy())
            self.board.add_picture("train/batch", batch_picture, 0)
            if self.data.config.synthetic_fraction:
                self.board.add_picture("data/synthetic", pictures.forms(form_sheet()), 0)
            self.board.flush()

    def _add_confusion_matrix(self, stage: str, module: Measured, step: int) -> None:
        counts = module.confusion_matrix.compute().cpu().numpy()
        correct, images = counts.trace(), counts.sum()
        title = f"{stage}: {correct:,} of {images:,} correct ({correct / images:.2%})"
        self.board.add_picture(f"{stage}/confusion_matrix", pictures.confusion_matrix(counts, title), step)
        if stage == "test":
            self.board.add_text("test/digits", digits_table(counts), step)

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to collect."""
        self._outputs: list[dict[str, Tensor]] = []

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Chunk,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect the logits and the probabilities of each test image."""
        self._outputs.append(outputs)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the test to TensorBoard."""
        module = cast(Measured, pl_module)
        board, step, probabilities = self.board, module.trained_steps, self.test_probabilities.numpy()
        images, labels = self.data.test_set.images.numpy(), self.data.test_set.labels.numpy()
        self.tested = floats(module.test_metrics.compute())
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
        return torch.cat([part["probabilities"] for part in self._outputs]).cpu()

    @property
    def test_logits(self) -> Tensor:
        """Of the test images, float32 [N, 10], or [N, 11] with that of a non-digit, on the CPU; after the test."""
        return torch.cat([part["logits"] for part in self._outputs]).cpu()
