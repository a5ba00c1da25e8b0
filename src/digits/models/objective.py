"""What training minimises: how far the outputs are from the labels, from even probabilities, and from a teacher's."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from digits.data.chunks import MiniBatch
from digits.data.config import DataConfig
from digits.models.config import LossConfig

Loss = Callable[[Tensor, Tensor], Tensor]
"""From what the last layer gives, [N, 10], and labels, int64 [N], to the mean over the images."""


class Objective:
    """The loss of a mini-batch.

    A mini-batch ends with the pictures that have a weight of their own, and behind them with what is no digit.

    Args:
        loss: of images with labels.
        logits: from what the last layer gives to logits.
        config: what the network is to say beside the labels.
        data: what a mini-batch is made of.
    """

    def __init__(self, loss: Loss, logits: Callable[[Tensor], Tensor], config: LossConfig, data: DataConfig) -> None:
        self.loss = loss
        self.logits = logits
        self.config = config
        self.negatives = data.negatives_per_batch
        self.weighted = 0 if data.mine_weight == 1 else data.mine_per_batch
        self.weight = data.mine_weight

    def __call__(self, outputs: Tensor, batch: MiniBatch, left: int) -> Tensor:
        """Give the mean loss.

        Args:
            outputs: what the last layer gives for the images, [N, 10].
            batch: a mini-batch, or a piece of one.
            left: images until the mini-batch's end, from the first of these on.
        """
        if not self.negatives and not self.weighted:
            return self._of_digits(outputs, batch)
        weighted_from = max(left - self.negatives - self.weighted, 0)
        odd_from = max(left - self.negatives, 0)
        losses = []
        for weight, part in ((1.0, slice(weighted_from)), (self.weight, slice(weighted_from, odd_from))):
            labels = batch.labels[part]
            if len(labels):
                answers = None if batch.answers is None else batch.answers[part]
                digits = MiniBatch(batch.images[part], labels, answers, None)
                losses.append(weight * len(labels) * self._of_digits(outputs[part], digits))
        if len(odd := outputs[odd_from:]):
            losses.append(len(odd) * unsureness(self.logits(odd)))
        return torch.stack(losses).sum() / len(outputs)

    def _of_digits(self, outputs: Tensor, batch: MiniBatch) -> Tensor:
        loss = self.loss(outputs, batch.labels)
        if batch.mix is not None:
            loss = self.loss(outputs, batch.labels.flip(0)).lerp(loss, batch.mix)
        if batch.answers is None:
            return loss
        taught = distillation(self.logits(outputs), batch.answers, batch.mix, self.config.temperature)
        return loss.lerp(taught, self.config.teacher_share)


def distillation(logits: Tensor, answers: Tensor, mix: Tensor | None, temperature: float) -> Tensor:
    """Give the cross-entropy of logits [N, 10] to a teacher's answers, both at a temperature, times its square.

    The square keeps the gradient's size (Hinton, Vinyals, Dean 2015, Distilling the Knowledge, section 2.1).
    """
    wanted = (answers / temperature).softmax(dim=1)
    if mix is not None:
        wanted = wanted.flip(0).lerp(wanted, mix)
    return temperature**2 * F.cross_entropy(logits.float() / temperature, wanted)


def unsureness(logits: Tensor) -> Tensor:
    """Give the cross-entropy of logits [N, 10] to even probabilities: how sure the network is of what is no digit.

    (Hendrycks, Mazeika, Dietterich 2019, Deep Anomaly Detection with Outlier Exposure, section 4.3.)
    """
    return -logits.log_softmax(dim=1).mean()
