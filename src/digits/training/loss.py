"""What training minimises: how far the outputs are from the labels, and for non-digits from even probabilities."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digits.config.model import MLPConfig, ModelConfig


class OutputLoss:
    """The loss of outputs with labels, and what the outputs say in logits.

    Args:
        output: softmax, or sigmoid: each output for itself.
        loss: cross_entropy (with sigmoid outputs, summed over them) or squared_error (half the sum over the outputs).
        targets: what an output should give for a wrong digit and for the right one.
        l2: half of it times the sum of the squared weights, without the biases, is the penalty.
    """

    def __init__(
        self,
        output: str = "softmax",
        loss: str = "cross_entropy",
        targets: Sequence[float] = (0.0, 1.0),
        l2: float = 0.0,
    ) -> None:
        self.output = output
        self.loss = loss
        self.targets = targets
        self.l2 = l2

    @classmethod
    def of(cls, config: ModelConfig) -> "OutputLoss":
        """Return the loss that the settings of conf/model/ name."""
        if isinstance(config, MLPConfig):
            return cls(config.output, config.loss, config.targets, config.l2)
        return cls()

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean over the images.

        Args:
            outputs: of the last layer, before their activation, float [N, 10].
            labels: int64 [N].
        """
        if (self.output, self.loss) == ("softmax", "cross_entropy"):
            return F.cross_entropy(outputs, labels)
        wrong, right = self.targets
        wanted = torch.full_like(outputs, wrong).scatter_(1, labels.unsqueeze(1), right)
        if self.loss == "cross_entropy":
            return F.binary_cross_entropy_with_logits(outputs, wanted, reduction="sum") / len(labels)
        values = torch.sigmoid(outputs) if self.output == "sigmoid" else outputs.softmax(dim=1)
        return F.mse_loss(values, wanted, reduction="sum") * (0.5 / len(labels))

    def logits(self, outputs: Tensor) -> Tensor:
        """Return the logits [N, 10]; of sigmoid outputs the logarithms, so that the softmax is the share of all."""
        return F.logsigmoid(outputs) if self.output == "sigmoid" else outputs

    def penalty(self, network: nn.Module) -> Tensor:
        """Return what weights of this size add to the loss."""
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        return self.l2 / 2 * torch.stack([layer.weight.square().sum() for layer in layers]).sum()


class MiniBatchLoss:
    """The loss of a mini-batch, which ends with the user's own digits, and behind them with non-digits.

    Args:
        loss: of images with labels.
        negatives: how many non-digits a mini-batch has.
        own: how many of the user's own digits it has.
        own_weight: how many times as much as another image each of these counts.
    """

    def __init__(self, loss: OutputLoss, negatives: int, own: int, own_weight: float) -> None:
        self.loss = loss
        self.negatives = negatives
        self.weighted = 0 if own_weight == 1 else own
        self.own_weight = own_weight

    @property
    def is_plain(self) -> bool:
        """Whether all images count alike, so that a mini-batch may be computed in pieces."""
        return not self.negatives and not self.weighted

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss over a mini-batch, of outputs [N, 10] and labels [N]."""
        if self.is_plain:
            return self.loss(outputs, labels)
        digits = len(outputs) - self.negatives
        losses = []
        for weight, part in (
            (1.0, slice(digits - self.weighted)),
            (self.own_weight, slice(digits - self.weighted, digits)),
        ):
            if len(labels[part]):
                losses.append(weight * len(labels[part]) * self.loss(outputs[part], labels[part]))
        if self.negatives:
            losses.append(self.negatives * unsureness(self.loss.logits(outputs[digits:])))
        return torch.stack(losses).sum() / len(outputs)


def unsureness(logits: Tensor) -> Tensor:
    """Return the cross-entropy of logits [N, 10] to even probabilities: how sure the network is of non-digits.

    (Hendrycks, Mazeika, Dietterich 2019, Deep Anomaly Detection with Outlier Exposure, section 4.3.)
    """
    return -logits.log_softmax(dim=1).mean()
