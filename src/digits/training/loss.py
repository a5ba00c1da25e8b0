"""What training minimises: how far the outputs are from the labels, and for non-digits from even probabilities."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digits.config.model import MLPConfig, ModelConfig

TARGETS = {"binary_cross_entropy": (0.0, 1.0), "squared_error": (0.01, 0.99)}
"""What a sigmoid output should give for a wrong digit and for the right one; it reaches neither 0 nor 1, which only the
squared error minds."""


class OutputLoss:
    """The loss of outputs with labels, and what the outputs say in logits.

    Args:
        name: cross_entropy, of softmax outputs; or of sigmoid outputs, each for itself and summed over the ten,
            binary_cross_entropy, or squared_error, of which it is half.
        l2: half of it times the sum of the squared weights, without the biases, is the penalty.
    """

    def __init__(self, name: str = "cross_entropy", l2: float = 0.0) -> None:
        self.name = name
        self.l2 = l2

    @classmethod
    def of(cls, config: ModelConfig) -> "OutputLoss":
        """Return the loss that the settings of conf/model/ name."""
        return cls(config.loss, config.l2) if isinstance(config, MLPConfig) else cls()

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean over the images.

        Args:
            outputs: of the last layer, before their activation, float [N, 10].
            labels: int64 [N].
        """
        if self.name == "cross_entropy":
            return F.cross_entropy(outputs, labels)
        wrong, right = TARGETS[self.name]
        wanted = torch.full_like(outputs, wrong).scatter_(1, labels.unsqueeze(1), right)
        if self.name == "binary_cross_entropy":
            return F.binary_cross_entropy_with_logits(outputs, wanted, reduction="sum") / len(labels)
        return F.mse_loss(torch.sigmoid(outputs), wanted, reduction="sum") * (0.5 / len(labels))

    def logits(self, outputs: Tensor) -> Tensor:
        """Return the logits [N, 10]; of sigmoid outputs the logarithms, so that the softmax is the share of all."""
        return outputs if self.name == "cross_entropy" else F.logsigmoid(outputs)

    def penalty(self, network: nn.Module) -> Tensor:
        """Return what weights of this size add to the loss."""
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        return self.l2 / 2 * torch.stack([layer.weight.square().sum() for layer in layers]).sum()


class MiniBatchLoss:
    """The loss of a mini-batch, which ends with non-digits.

    Args:
        loss: of images with labels.
        negatives: how many non-digits a mini-batch has.
    """

    def __init__(self, loss: OutputLoss, negatives: int) -> None:
        self.loss = loss
        self.negatives = negatives

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss over a mini-batch, of outputs [N, 10] and labels [N]."""
        if not self.negatives:
            return self.loss(outputs, labels)
        digits = len(outputs) - self.negatives
        of_digits = digits * self.loss(outputs[:digits], labels[:digits])
        of_others = self.negatives * uniform_cross_entropy(self.loss.logits(outputs[digits:]))
        return (of_digits + of_others) / len(outputs)


def uniform_cross_entropy(logits: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits [N, 10] to even probabilities, which a network that is unsure has least.

    (Hendrycks, Mazeika, Dietterich 2019, Deep Anomaly Detection with Outlier Exposure, section 4.3.)
    """
    return -logits.log_softmax(dim=1).mean()
