"""The LightningModule of the page network: its loss, and how many digits it finds on the validation's pages."""

import math
from collections import Counter
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection

from digits.config.train import TrainConfig
from digits.data.pagemodule import PageBatch
from digits.handwriting.grouping import USUAL_SIZE, grouped
from digits.training.task import Task

MAX_GRADIENT = 1.0
"""The norm that a step's gradient is cut to: a mini-batch of few pages may be odd."""

SAME_PLACE, SAME_SIZE = 0.25, 0.5
"""How far the middle of a digit may be from where it is found, in its sizes, and how far the logarithm of its size."""


class PageFinder(Task):
    """Trains and validates the page network.

    Args:
        network: models/pagenet.py's.
        settings: the run's: its optimizer and schedule.
    """

    def __init__(self, network: nn.Module, settings: TrainConfig) -> None:
        super().__init__(network, settings)
        self.train_metrics = MetricCollection({"loss": MeanMetric()}, prefix="train/")
        self.val_loss = MeanMetric()
        self.counts = Counter[str]()
        """Of the validation's digits: those that were `found`, those that are `there`, and those that are `both`."""

    def training_step(self, batch: PageBatch, batch_idx: int) -> dict[str, Tensor]:
        """Return the mini-batch's loss, which Lightning takes an optimizer step by."""
        rate = self.learning_rates(1)[0]
        cast(Any, self.optimizers()).param_groups[0]["lr"] = rate
        loss = page_loss(*self._seen(batch), batch[1])
        self.train_metrics.update(loss.detach())
        return {"loss": loss, "train/loss": loss.detach(), "train/learning_rate": torch.tensor(rate)}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Cut a gradient that is far too long, which Lightning does for no fused optimizer with mixed precision."""
        scaler = self.trainer.scaler  # of 16-mixed: the gradient is so much longer
        nn.utils.clip_grad_norm_(self.parameters(), MAX_GRADIENT * (scaler.get_scale() if scaler else 1.0))

    def on_validation_epoch_start(self) -> None:
        """Reset the metrics."""
        self.val_loss.reset()
        self.counts.clear()

    def validation_step(self, batch: PageBatch, batch_idx: int) -> dict[str, Tensor]:
        """Evaluate some of the validation's pages; return the probabilities of `ink`, [N, 2, height, width]."""
        logits, votes = self._seen(batch)
        self.val_loss.update(page_loss(logits, votes, batch[1]), len(logits))
        ink = logits.sigmoid()
        for page_ink, page_votes, target in zip(ink.cpu(), votes.cpu(), batch[1].cpu(), strict=True):
            self.counts.update(digits_found(page_ink[0], page_votes, target))
        return {"ink": ink}

    def _seen(self, batch: PageBatch) -> tuple[Tensor, Tensor]:
        logits, votes = self.network(batch[0])
        return logits.float(), votes.float()

    def on_validation_epoch_end(self) -> None:
        """Log `val/loss`, and of the digits `val/precision` and `val/recall`."""
        self.log("val/loss", self.val_loss.compute(), logger=False)
        self.log("val/precision", self.counts["both"] / max(self.counts["found"], 1), logger=False)
        self.log("val/recall", self.counts["both"] / max(self.counts["there"], 1), logger=False)


def page_loss(logits: Tensor, votes: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of a mini-batch: of both inks, their cross-entropy and Dice loss, and of the votes the distance.

    (Milletari, Navab, Ahmadi 2016, V-Net, section 3, for the Dice loss.)

    Args:
        logits: of the inks, [N, 2, height, width].
        votes: [N, 3, height/2, width/2], as models/pagenet.py says.
        targets: [N, 5, height, width], as data/synthetic/pages.py says; ink below 0 counts neither way.
    """
    known = (targets[:, :2] >= 0).float()
    ink = (targets[:, :2] > 0).float()
    every = (0, 2, 3)
    entropy = (F.binary_cross_entropy_with_logits(logits, ink, reduction="none") * known).sum(every) / known.sum(every)
    probability = logits.sigmoid() * known
    dice = 1 - (2 * (probability * ink).sum(every) + 1) / (probability.sum(every) + ink.sum(every) + 1)
    coarse = targets[:, :, ::2, ::2]
    voting = (coarse[:, :1] > 0).float()
    size = coarse[:, 4:]
    away = (USUAL_SIZE * votes[:, :2] - coarse[:, 2:4]).abs().sum(dim=1, keepdim=True) / size.exp()
    wrong_size = (votes[:, 2:] + math.log(USUAL_SIZE) - size).abs()
    return (2 * entropy + dice).sum() + ((away + wrong_size / 2) * voting).sum() / voting.sum().clamp(min=1)


def digits_found(ink: Tensor, votes: Tensor, targets: Tensor) -> dict[str, int]:
    """Return how many digits are `found` on a page, how many are `there`, and how many of these are `both`.

    Args:
        ink: the probability, [height, width].
        votes: [3, height/2, width/2].
        targets: [5, height, width].
    """
    numbers, groups = grouped(ink.numpy(), votes.numpy())
    known, _, across, down, logarithm = targets.numpy()
    rows, columns = np.nonzero(known > 0)
    of_pixels = np.stack(
        [columns + across[rows, columns], rows + down[rows, columns], np.exp(logarithm[rows, columns])]
    )
    there = np.unique(of_pixels.round(1), axis=1).T.tolist()
    ignored = {number for number, *_ in groups if (known[numbers == number] < 0).any()}
    left = [(*middle, size) for number, _, middle, size, _ in groups if number not in ignored]
    found, both = len(left), 0
    for digit in there:
        place = next((place for place, other in enumerate(left) if _same(digit, other)), None)
        if place is not None:
            both += 1
            del left[place]
    return {"found": found, "there": len(there), "both": both}


def _same(digit: list[float], other: tuple[float, float, float]) -> bool:
    """Whether two digits, x, y and size of each, are the same one."""
    away = math.hypot(digit[0] - other[0], digit[1] - other[1])
    return away < SAME_PLACE * digit[2] and abs(math.log(other[2] / digit[2])) < SAME_SIZE
