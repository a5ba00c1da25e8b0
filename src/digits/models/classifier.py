"""What all networks share: loss, metrics, optimizer, and the loop over the mini-batches of a chunk."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from typing import Any, cast

import lightning.pytorch as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from digits.config import TrainConfig
from digits.data.augmentation import seed_of
from digits.data.chunks import Batch, Chunk, MiniBatch
from digits.data.config import MOST_AT_ONCE
from digits.data.datamodule import MNISTDataModule
from digits.models.capture import CapturedSteps
from digits.models.config import CLASSES, LBFGSConfig
from digits.models.objective import Loss, Objective
from digits.models.optimizers import build_optimizer, rate_factor

GROUPS = ("model", "optimizer", "schedule")
"""Of the settings, those that a checkpoint holds."""

MEAN, STD = 0.1307, 0.3081
"""Of the pixels of MNIST's 60,000 training images, in [0, 1]; inputs with mean 0 and deviation 1 train fastest
(LeCun et al. 1998, Efficient BackProp, section 4.3)."""


def whole_epochs(checkpoint: dict[str, Any]) -> int:
    """Count the epochs that a checkpoint has behind it, without one that it was written in the middle of."""
    count: int = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    return count


def in_an_epoch(checkpoint: dict[str, Any]) -> bool:
    """Say whether a checkpoint was written in the middle of an epoch."""
    started: int = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["started"]
    return started > whole_epochs(checkpoint)


class MeanLoss(Metric):
    """The mean loss over all images seen.

    Args:
        loss: the mean of some of them.
        syncing: when several processes add up what they have, as Metric takes it.
    """

    total: Tensor
    images: Tensor

    def __init__(self, loss: Loss, **syncing: bool) -> None:
        super().__init__(**syncing)
        self.loss = loss
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        """Add images by what the last layer gives for them, [N, 10], and labels [N]."""
        if len(labels):  # a process may have none of a small mini-batch
            self.total += self.loss(outputs, labels) * len(labels)
        self.images += len(labels)

    def compute(self) -> Tensor:
        """Give the mean."""
        return self.total / self.images


def _metrics(prefix: str, loss: Loss, **syncing: bool) -> MetricCollection:
    # validate_args looks at the values, for which a card would have to finish first
    settings: Any = {"average": "micro", "validate_args": False, **syncing}
    both: dict[str, Metric | MetricCollection] = {
        "loss": MeanLoss(loss, **syncing),
        "accuracy": MulticlassAccuracy(CLASSES, **settings),
    }
    return MetricCollection(both, prefix=prefix, compute_groups=False)


class DigitClassifier(L.LightningModule):
    """A network from images to ten logits; a subclass sets `layers`.

    It scales its input itself, so that whoever has the network has all of it.

    Args:
        settings: the run's.
        loss: what is validated and tested, and is minimised but for `penalty` and what the settings add.
    """

    layers: nn.Module

    def __init__(self, settings: TrainConfig, loss: Loss = F.cross_entropy) -> None:
        super().__init__()
        # plain values, so that a checkpoint loads with weights_only=True
        self.save_hyperparameters({group: asdict(getattr(settings, group)) for group in GROUPS})
        self.settings = settings
        self.rate_factor = rate_factor(settings.schedule)
        self.loss = loss
        smoothing = settings.loss.label_smoothing
        smoothed = partial(F.cross_entropy, label_smoothing=smoothing) if smoothing else loss
        self.objective = Objective(smoothed, self.logits, settings.loss, settings.data)
        self.automatic_optimization = False  # one call of training_step takes a chunk of optimizer steps
        # of several processes each has its part of a mini-batch, and all validation images
        self.train_metrics = _metrics("train/", loss, dist_sync_on_step=settings.trainer.strategy == "ddp")
        self.val_metrics = _metrics("val/", loss, sync_on_compute=False)
        self.drawn_metrics = _metrics("val/drawn_", loss, sync_on_compute=False)
        self.test_metrics = _metrics("test/", loss, sync_on_compute=False)
        self.confusion_matrix = MulticlassConfusionMatrix(CLASSES, validate_args=False, sync_on_compute=False)
        """Of the last validation or test; rows true, columns predicted."""
        self.trained_epochs = 0
        """Passes over the training images that the weights of the loaded checkpoint have behind them."""
        self.trained_steps = 0
        """Optimizer steps, likewise."""
        self.captured: CapturedSteps | None = None
        """What takes the steps of a chunk on a card; None for one after the other."""

    def forward(self, images: Tensor) -> Tensor:
        """Give the logits [N, 10] of images float32 [N, 1, 28, 28] in [0, 1], bright ink on black."""
        return self.logits(self.outputs(images))

    def outputs(self, images: Tensor) -> Tensor:
        """Give what the last layer gives, [N, 10], which is what the loss takes."""
        outputs: Tensor = self.layers(self.scaled(images))
        return outputs

    def scaled(self, images: Tensor) -> Tensor:
        """Bring images from [0, 1] to what the first layer takes: mean 0 and deviation 1."""
        return (images - MEAN) / STD

    def logits(self, outputs: Tensor) -> Tensor:
        """Give the logits [N, 10], whose softmax is the probabilities, from what the last layer gives."""
        return outputs

    def penalty(self) -> Tensor | None:
        """Give what is added to the loss whatever the images, None for nothing."""
        return None

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note how far the loaded weights were trained, and what their epoch had counted."""
        self.trained_epochs = whole_epochs(checkpoint)
        self.trained_steps = checkpoint["global_step"]
        for name, metric in self.train_metrics.items():
            for key in metric.metric_state:
                # where there are several processes, their sum
                state = checkpoint["train_metrics"][name][key] if self.global_rank == 0 else metric._defaults[key]
                setattr(metric, key, cast(Tensor, state).clone().to(self.device))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the epoch has counted so far."""
        checkpoint["train_metrics"] = {}
        for name, one in self.train_metrics.items():
            with one.sync_context():
                state = {key: cast(Tensor, value).clone() for key, value in one.metric_state.items()}
                checkpoint["train_metrics"][name] = state

    def configure_optimizers(self) -> Optimizer:
        """Build the optimizer."""
        return build_optimizer(self.settings.optimizer, self.parameters())

    def on_train_start(self) -> None:
        """Note how many optimizer steps the whole run has, which the learning rate depends on."""
        trainer: Any = self.trainer  # Lightning attaches the datamodule to it, which its types do not say
        self.data: MNISTDataModule = trainer.datamodule
        self.all_steps = self.data.steps(trainer.max_epochs)
        # a line search looks at losses, and Lightning at what half precision cannot hold
        searching = isinstance(self.settings.optimizer, LBFGSConfig)
        plain = self.device.type == "cpu" or searching or self.losses_are_scaled or self.trainer.world_size > 1
        self.captured = None if plain else CapturedSteps(self.take_steps, self.device)
        group = cast(LightningOptimizer, self.optimizers()).param_groups[0]
        if "capturable" in group:
            group["capturable"] = not plain  # a checkpoint has it as it was where it was written

    def on_train_end(self) -> None:
        """Let the captured steps go, with the memory they hold."""
        self.captured = None

    def on_train_epoch_start(self) -> None:
        """Begin to count anew."""
        self.train_metrics.reset()

    def training_step(self, chunk: Chunk, batch_idx: int) -> dict[str, Tensor]:
        """Take one optimizer step for each mini-batch of the chunk.

        Returns:
            The chunk's `train/loss` and `train/accuracy`, and the `train/learning_rate` of its last step.
        """
        # by a step's place in the run alone, so that a run can go on with more epochs
        places = (min((self.trainer.global_step + step) / self.all_steps, 1) for step in range(len(chunk)))
        rates = [self.settings.optimizer.learning_rate * self.rate_factor(place) for place in places]
        self._draw_by(self.trainer.global_step)
        outputs, labels = self.captured(chunk, rates) if self.captured else self.take_steps(chunk, rates)
        if not self.losses_are_scaled:
            self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.increment_by(len(chunk))
        if self.data.config.hardest < 1:
            seen = F.cross_entropy(self.logits(outputs).float(), labels, reduction="none")
            self.data.losses[chunk.networks(self.settings.members), chunk.indices % self.data.images] = seen
        values: dict[str, Tensor] = self.train_metrics(outputs.float(), labels)
        return {**values, "train/learning_rate": torch.tensor(rates[-1])}

    @property
    def losses_are_scaled(self) -> bool:
        """Whether each step must be Lightning's own, because it scales the losses so that half precision holds them."""
        return self.trainer.precision == "16-mixed"

    def take_steps(self, chunk: Chunk, rates: Iterable[float | Tensor]) -> Batch:
        """Take one optimizer step for each mini-batch of the chunk.

        Args:
            chunk: the mini-batches.
            rates: the learning rate of each step; where the steps are captured a tensor of its own each.

        Returns:
            What the last layer gave for the digits, [N, 10], each before its step, and their labels, int64 [N].
        """
        wrapped = cast(LightningOptimizer, self.optimizers())
        # Lightning's own way is a quarter of the time of a step on one image
        optimizer = cast(Optimizer, wrapped if self.losses_are_scaled else wrapped.optimizer)
        plainly = not self.losses_are_scaled and self.trainer.world_size == 1
        backward = Tensor.backward if plainly else self.manual_backward
        shares = chunk.shares or [1.0] * len(chunk)
        outputs, labels = [], []
        for step, (rate, batch, share) in enumerate(zip(rates, chunk, shares, strict=True), self.trainer.global_step):
            if self.captured is None:
                self._draw_by(step)
            optimizer.param_groups[0]["lr"] = rate
            outputs.append(self._step(optimizer, backward, batch, share))
            labels.append(batch.labels[: len(outputs[-1])])
            torch.clear_autocast_cache()  # or the next step would compute with this step's weights, cast to bf16
        return torch.cat(outputs), torch.cat(labels)

    def _draw_by(self, step: int) -> None:
        """Let dropout draw by the step, so that a run that goes on draws what one that was never stopped would."""
        if self.settings.model.dropout:
            torch.manual_seed(seed_of(self.settings.seed, step))

    def _step(
        self, optimizer: Optimizer, backward: Callable[[Tensor], None], batch: MiniBatch, share: float = 1
    ) -> Tensor:
        """Take one optimizer step; give what the last layer gave for the digits, before it.

        Args:
            optimizer: which takes it.
            backward: what makes the gradients.
            batch: all of the mini-batch, or a process's part.
            share: what that part counts; see `Chunk.part`.
        """
        count = len(batch.labels)
        pieces = batch.split(MOST_AT_ONCE) if count > MOST_AT_ONCE * self.settings.members else [batch]
        seen: list[Tensor] = []

        def closure() -> Tensor:  # called once, by L-BFGS again for each place on its line search
            for parameter in optimizer.param_groups[0]["params"]:
                parameter.grad = None  # as zero_grad does, without its bookkeeping
            losses: list[Tensor] = []
            done = 0
            for piece in pieces:
                outputs = self.outputs(piece.images)
                loss = self.objective(outputs, piece, count - done)
                if self.settings.members > 1:
                    loss = loss * self.settings.members  # each one's own mean: they share no weights
                if len(pieces) > 1:
                    loss = loss * (len(piece.labels) / count)
                if share != 1:
                    loss = loss * share
                penalty = None if losses else self.penalty()
                if penalty is not None:
                    loss = loss + penalty
                backward(loss)
                losses.append(loss.detach())
                if len(seen) < len(pieces):
                    digits = count - self.objective.negatives - done if share else 0
                    seen.append(outputs[: max(digits, 0)].detach())
                done += len(piece.labels)
            return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

        optimizer.step(closure)  # type: ignore[arg-type]  # which wants a float, and takes a tensor
        return seen[0] if len(seen) == 1 else torch.cat(seen)

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
            self.drawn_metrics.update(*self._read(chunk))

    def on_validation_epoch_end(self) -> None:
        """Give `val/loss`, `val/accuracy` and, of drawn digits, `val/drawn_...` to whoever chooses by them."""
        self.log_dict(self.val_metrics.compute(), logger=False, sync_dist=True)
        if "digits" in cast(Any, self.trainer).datamodule.drawn:
            self.log_dict(self.drawn_metrics.compute(), logger=False, sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Begin to count anew."""
        self.test_metrics.reset()
        self.confusion_matrix.reset()

    def test_step(self, chunk: Chunk, batch_idx: int) -> dict[str, Tensor]:
        """Count how a chunk of the test images is read.

        Returns:
            The `probabilities` [N, 10].
        """
        outputs = self._evaluate(chunk, self.test_metrics)
        return {"probabilities": self.logits(outputs).softmax(dim=1)}

    def _evaluate(self, chunk: Chunk, metrics: MetricCollection) -> Tensor:
        outputs, labels = self._read(chunk)
        metrics.update(outputs, labels)
        self.confusion_matrix.update(outputs, labels)
        return outputs

    def _read(self, chunk: Chunk) -> Batch:
        return torch.cat([self.outputs(batch.images) for batch in chunk]).float(), chunk.labels
