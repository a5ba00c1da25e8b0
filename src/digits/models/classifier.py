"""What all networks share: loss, metrics, optimizer, and the loop over the mini-batches of a chunk."""

from dataclasses import asdict
from typing import Any, cast

import lightning.pytorch as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from digits.config import ModelConfig, OptimizerConfig, ScheduleConfig
from digits.data.datamodule import Batch, Chunk
from digits.models.optimizers import build_optimizer, build_schedule

CLASSES = 10

MEAN, STD = 0.1307, 0.3081
"""Of the pixels of MNIST's 60,000 training images, in [0, 1]; inputs with mean 0 and deviation 1 train fastest
(LeCun et al. 1998, Efficient BackProp, section 4.3)."""


class CrossEntropy(Metric):
    """The mean cross-entropy, in nats, over all images seen."""

    total: Tensor
    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add images by their logits [N, 10] and labels [N]."""
        self.total += F.cross_entropy(logits, labels, reduction="sum")
        self.images += len(labels)

    def compute(self) -> Tensor:
        """Give the mean."""
        return self.total / self.images


class DigitClassifier(L.LightningModule):
    """A network from images to ten logits; a subclass sets `layers`.

    It normalises its input itself, so that whoever has the network has all of it.

    Args:
        model: the network's settings.
        optimizer: the optimizer's.
        schedule: the learning rate's.
    """

    layers: nn.Module

    def __init__(self, model: ModelConfig, optimizer: OptimizerConfig, schedule: ScheduleConfig) -> None:
        super().__init__()
        # plain values, so that a checkpoint loads with weights_only=True
        plain = {"model": asdict(model), "optimizer": asdict(optimizer), "schedule": asdict(schedule)}
        self.save_hyperparameters(plain)
        self.optimizer_config = optimizer
        self.schedule_config = schedule
        self.automatic_optimization = False  # one call of training_step takes a chunk of optimizer steps
        metrics = MetricCollection(
            {"loss": CrossEntropy(), "accuracy": MulticlassAccuracy(CLASSES, average="micro")}, compute_groups=False
        )
        self.train_metrics = metrics.clone(prefix="train/")
        self.val_metrics = metrics.clone(prefix="val/")
        self.drawn_metrics = metrics.clone(prefix="val/drawn_")
        self.test_metrics = metrics.clone(prefix="test/")
        self.confusion_matrix = MulticlassConfusionMatrix(CLASSES)
        """Of the last validation or test; rows true, columns predicted."""
        self.trained_epochs = 0
        """Passes over the training images that the weights of the loaded checkpoint have behind them."""
        self.trained_steps = 0
        """Optimizer steps, likewise."""

    def forward(self, images: Tensor) -> Tensor:
        """Give the logits [N, 10] of images float32 [N, 1, 28, 28] in [0, 1], bright ink on black."""
        logits: Tensor = self.layers((images - MEAN) / STD)
        return logits

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note how far the loaded weights were trained."""
        self.trained_epochs = checkpoint["epoch"] + 1
        self.trained_steps = checkpoint["global_step"]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build optimizer and schedule; the schedule counts optimizer steps."""
        optimizer = build_optimizer(self.optimizer_config, self.parameters())
        trainer: Any = self.trainer  # Lightning attaches the datamodule to it, which its types do not say
        steps = trainer.max_epochs * trainer.datamodule.steps_per_epoch
        return [optimizer], [build_schedule(self.schedule_config, optimizer, steps)]

    def on_train_epoch_start(self) -> None:
        """Begin to count anew."""
        self.train_metrics.reset()

    def training_step(self, chunk: Chunk, batch_idx: int) -> dict[str, Tensor]:
        """Take one optimizer step for each mini-batch of the chunk.

        Returns:
            The chunk's `train/loss` and `train/accuracy`, and the `train/learning_rate` of its last step.
        """
        optimizer = cast(LightningOptimizer, self.optimizers())
        schedule = cast(LRScheduler, self.lr_schedulers())
        negatives = cast(Any, self.trainer).datamodule.config.negatives_per_batch
        chunk_logits, chunk_labels = [], []
        for images, labels in chunk:
            logits = self(images)
            digits = len(labels) - negatives
            loss = F.cross_entropy(logits[:digits], labels[:digits])
            if negatives:
                loss = (digits * loss + negatives * unsureness(logits[digits:])) / len(labels)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            rate = optimizer.param_groups[0]["lr"]
            schedule.step()
            torch.clear_autocast_cache()  # or the next step would compute with this step's weights, cast to bf16
            chunk_logits.append(logits[:digits].detach())
            chunk_labels.append(labels[:digits])
        values: dict[str, Tensor] = self.train_metrics(torch.cat(chunk_logits).float(), torch.cat(chunk_labels))
        return {**values, "train/learning_rate": torch.tensor(rate)}

    def on_validation_epoch_start(self) -> None:
        """Begin to count anew."""
        self.val_metrics.reset()
        self.drawn_metrics.reset()
        self.confusion_matrix.reset()

    def validation_step(self, chunk: Chunk, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Count how a chunk of the validation images is read: MNIST's first, then the drawn ones if there are some."""
        if dataloader_idx == 0:
            self._evaluate(chunk, self.val_metrics)
        else:
            logits, labels = self._read(chunk)
            self.drawn_metrics.update(logits, labels)

    def on_validation_epoch_end(self) -> None:
        """Give `val/loss`, `val/accuracy` and, of drawn digits, `val/drawn_...` to whoever chooses by them."""
        self.log_dict(self.val_metrics.compute(), logger=False)
        if "digits" in cast(Any, self.trainer).datamodule.drawn:
            self.log_dict(self.drawn_metrics.compute(), logger=False)

    def on_test_epoch_start(self) -> None:
        """Begin to count anew."""
        self.test_metrics.reset()
        self.confusion_matrix.reset()

    def test_step(self, chunk: Chunk, batch_idx: int) -> dict[str, Tensor]:
        """Count how a chunk of the test images is read.

        Returns:
            The `probabilities` [N, 10].
        """
        return {"probabilities": self._evaluate(chunk, self.test_metrics).softmax(dim=1)}

    def _evaluate(self, chunk: Chunk, metrics: MetricCollection) -> Tensor:
        logits, labels = self._read(chunk)
        metrics.update(logits, labels)
        self.confusion_matrix.update(logits, labels)
        return logits

    def _read(self, chunk: Chunk) -> Batch:
        logits = torch.cat([self(images) for images, _ in chunk]).float()
        return logits, torch.cat([labels for _, labels in chunk])


def unsureness(logits: Tensor) -> Tensor:
    """Give the cross-entropy of logits [N, 10] to even probabilities: how sure the network is of what is no digit.

    (Hendrycks, Mazeika, Dietterich 2019, Deep Anomaly Detection with Outlier Exposure, section 4.3.)
    """
    return -logits.log_softmax(dim=1).mean()
