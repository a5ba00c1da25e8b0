"""The LightningModule: a network, its loss, its metrics, and the loop over the mini-batches of a chunk."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ParallelStrategy
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from digits.config.data import MNISTConfig
from digits.config.model import CLASSES, LBFGSConfig
from digits.config.train import TrainConfig
from digits.data.chunks import Batch, Chunk
from digits.data.datamodule import MNISTDataModule
from digits.training.capture import CapturedSteps
from digits.training.loss import OutputLoss, probabilities
from digits.training.task import Task

MAX_TOGETHER = 2048
"""Images; a larger mini-batch's gradient is summed over pieces, whose activations stay in the processor's cache; batch
normalisation then has the statistics of each piece."""


class MeanLoss(Metric):
    """The mean loss over all images seen.

    Args:
        loss: the mean over a batch.
        syncing: when several processes add up what they have, as Metric takes it.
    """

    total: Tensor
    images: Tensor

    def __init__(self, loss: OutputLoss, **syncing: bool) -> None:
        super().__init__(**syncing)
        self.loss = loss
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        """Add images by the outputs for them, [N, 10], and their labels [N]."""
        self.total += self.loss(outputs, labels) * len(labels)
        self.images += len(labels)

    def compute(self) -> Tensor:
        """Return the mean."""
        return self.total / self.images


def _metrics(prefix: str, loss: OutputLoss, **syncing: bool) -> MetricCollection:
    # validate_args looks at the values, for which a GPU would have to finish first
    settings: Any = {"average": "micro", "validate_args": False, **syncing}
    both: dict[str, Metric | MetricCollection] = {
        "loss": MeanLoss(loss, **syncing),
        "accuracy": MulticlassAccuracy(CLASSES, **settings),
    }
    return MetricCollection(both, prefix=prefix, compute_groups=False)


class DigitClassifier(Task):
    """Trains, validates and tests a network of images of digits.

    A Lightning batch is a chunk of mini-batches: Lightning takes 2.8 ms for a batch on two cores, which is more than an
    optimizer step of LeNet-5, so it is asked once for many steps. `trainer.global_step` counts optimizer steps.

    Args:
        network: from images, float [N, 1, 28, 28] in [0, 1], bright ink on black, to outputs [N, 10].
        settings: the run's: its loss, optimizer and schedule.
    """

    def __init__(self, network: nn.Module, settings: TrainConfig) -> None:
        super().__init__(network, settings)
        self.automatic_optimization = False  # training_step takes the steps itself
        data = cast(MNISTConfig, settings.data)
        self.negatives = data.in_batch(data.negative_fraction)
        """How many non-digits a mini-batch ends with."""
        self.output_loss = loss = OutputLoss.of(settings.model, bool(self.negatives))
        # of several processes each has its slice of a mini-batch, and all validation images
        self.train_metrics = _metrics("train/", loss, dist_sync_on_step=settings.trainer.strategy == "ddp")
        self.val_metrics = _metrics("val/", loss, sync_on_compute=False)
        self.synthetic_metrics = _metrics("val/synthetic_", loss, sync_on_compute=False)
        self.test_metrics = _metrics("test/", loss, sync_on_compute=False)
        self.confusion_matrix = MulticlassConfusionMatrix(CLASSES, validate_args=False, sync_on_compute=False)
        """Of the last validation or test; rows true, columns predicted."""
        self._backward: Callable[[Tensor], object] = Tensor.backward
        """Computes the gradients of a loss; Lightning's own where it scales losses or several processes add them up."""
        self.may_capture = bool(settings.trainer.capture)
        self.captured: CapturedSteps | None = None
        """What takes the steps of a chunk on a GPU; None for one after the other."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images, float32 [N, 1, 28, 28] in [0, 1], bright ink on black, as OutputLoss says."""
        return self.output_loss.logits(self.network(images))

    def training_step(self, chunk: Chunk, batch_idx: int) -> dict[str, Tensor]:
        """Perform one optimizer step for each mini-batch of the chunk.

        Returns:
            The chunk's `train/loss` and `train/accuracy`, of its digits and without the penalty, and the
            `train/learning_rate` of its last step.
        """
        rates = self.learning_rates(len(chunk))
        outputs, labels = self.captured(chunk, rates) if self.captured else self.take_steps(chunk, rates)
        if not self.scales_losses:  # Lightning counts the steps of its own optimizer wrapper alone
            self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.increment_by(len(chunk))
        if self._data.config.hard_example_fraction < 1:
            losses = F.cross_entropy(self.output_loss.logits(outputs).float(), labels, reduction="none")
            self._data.losses[chunk.indices] = losses
        values: dict[str, Tensor] = self.train_metrics(outputs.float(), labels)
        return {**values, "train/learning_rate": torch.tensor(rates[-1])}

    def take_steps(self, chunk: Chunk, rates: Sequence[float | Tensor]) -> tuple[Tensor, Tensor]:
        """Perform one optimizer step for each mini-batch of the chunk.

        Args:
            chunk: the mini-batches.
            rates: the learning rate of each step; where the steps are captured a tensor of its own each.

        Returns:
            The outputs for the digits, [N, 10], each from before its step, and their labels, int64 [N].
        """
        wrapped = cast(LightningOptimizer, self.optimizers())
        # Lightning's wrapper takes a quarter of the time of a step on one image
        optimizer = cast(Optimizer, wrapped if self.scales_losses else wrapped.optimizer)
        outputs, labels = [], []
        for rate, batch in zip(rates, chunk, strict=True):
            optimizer.param_groups[0]["lr"] = rate
            digits = len(batch.labels) - self.negatives
            outputs.append(self._step(optimizer, batch)[:digits])
            labels.append(batch.labels[:digits])
            torch.clear_autocast_cache()  # or the next step would compute with this step's weights, cast to bf16
        return torch.cat(outputs), torch.cat(labels)

    def _step(self, optimizer: Optimizer, batch: Batch) -> Tensor:
        """Perform one optimizer step; return the outputs [N, 10] from before it."""
        before: list[Tensor] = []

        # called once, by L-BFGS again for each place on its line search; gives a tensor, which torch's types call float
        def closure() -> Any:
            for parameter in optimizer.param_groups[0]["params"]:
                parameter.grad = None  # as zero_grad does, without its bookkeeping
            loss, outputs = self._gradients(batch)
            before.append(outputs)
            return loss

        optimizer.step(closure)
        return before[0]

    def _gradients(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the gradients of a mini-batch's loss; return the loss and the outputs [N, 10]."""
        losses: list[Tensor] = []
        outputs: list[Tensor] = []
        for images, labels in zip(batch.images.split(MAX_TOGETHER), batch.labels.split(MAX_TOGETHER), strict=True):
            outputs.append(self.network(images))
            loss = self.output_loss(outputs[-1], labels)
            if len(labels) < len(batch.labels):
                loss = loss * (len(labels) / len(batch.labels))
            if self.output_loss.l2 and not losses:
                loss = loss + self.output_loss.penalty(self.network)
            self._backward(loss)
            losses.append(loss.detach())
            outputs[-1] = outputs[-1].detach()
        return (losses[0], outputs[0]) if len(losses) == 1 else (torch.stack(losses).sum(), torch.cat(outputs))

    @property
    def scales_losses(self) -> bool:
        """Whether each step must be Lightning's own, because it scales the losses so that half precision holds them."""
        return self.trainer.precision == "16-mixed"

    def on_train_start(self) -> None:
        """Capture the steps, on a GPU."""
        super().on_train_start()
        ddp = isinstance(self.trainer.strategy, ParallelStrategy)  # whose backward pass has NCCL in it
        self._backward = self.manual_backward if ddp or self.scales_losses else Tensor.backward
        # a line search looks at losses, and the loss scaler of half precision at gradients
        reads_values = isinstance(self.optimizer_config, LBFGSConfig) or self.scales_losses
        can_capture = self.may_capture and self.device.type != "cpu" and not (reads_values or ddp)
        self.captured = CapturedSteps(self.take_steps, self.device) if can_capture else None
        group = cast(LightningOptimizer, self.optimizers()).param_groups[0]
        if "capturable" in group:
            group["capturable"] = can_capture  # a checkpoint has it as it was where it was written

    def on_train_end(self) -> None:
        """Release the captured steps, with the memory they hold."""
        self.captured = None

    def on_validation_epoch_start(self) -> None:
        """Reset the metrics."""
        for metric in (self.val_metrics, self.synthetic_metrics, self.confusion_matrix):
            metric.reset()

    def validation_step(self, chunk: Chunk, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Evaluate a chunk of the validation images: MNIST's first, then the synthetic ones if there are some."""
        outputs = self._outputs(chunk)
        metrics = self.val_metrics if dataloader_idx == 0 else self.synthetic_metrics
        metrics.update(outputs, chunk.labels)
        if dataloader_idx == 0:
            self.confusion_matrix.update(outputs, chunk.labels)

    def on_validation_epoch_end(self) -> None:
        """Log `val/loss`, `val/accuracy` and, of synthetic digits, `val/synthetic_...` for whoever chooses by them."""
        self.log_dict(self.val_metrics.compute(), logger=False, sync_dist=True)
        if "digits" in self._data.synthetic:
            self.log_dict(self.synthetic_metrics.compute(), logger=False, sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Reset the metrics."""
        self.test_metrics.reset()
        self.confusion_matrix.reset()

    def test_step(self, chunk: Chunk, batch_idx: int) -> dict[str, Tensor]:
        """Evaluate a chunk of the test images; return their `logits` and their `probabilities` [N, 10]."""
        outputs = self._outputs(chunk)
        self.test_metrics.update(outputs, chunk.labels)
        self.confusion_matrix.update(outputs, chunk.labels)
        logits = self.output_loss.logits(outputs)
        return {"logits": logits, "probabilities": probabilities(logits)}

    @property
    def _data(self) -> MNISTDataModule:
        trainer: Any = self.trainer  # Lightning attaches the datamodule to it, which its types do not say
        return cast(MNISTDataModule, trainer.datamodule)

    def _outputs(self, chunk: Chunk) -> Tensor:
        return torch.cat([self.network(batch.images) for batch in chunk]).float()
