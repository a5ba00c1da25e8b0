"""What training minimises: how far the outputs are from the labels; and the probabilities that the outputs mean."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digits.config.model import CLASSES, MLPConfig, ModelConfig

TARGETS = {"binary_cross_entropy": (0.0, 1.0), "squared_error": (0.01, 0.99)}
"""What a sigmoid output should give for a wrong digit and for the right one; it reaches neither 0 nor 1, which only the
squared error minds."""


class OutputLoss:
    """The loss of outputs with labels, and what the outputs say in logits.

    Args:
        name: cross_entropy, of softmax outputs; or of sigmoid outputs, each for itself and summed over the ten,
            binary_cross_entropy, or squared_error, of which it is half.
        l2: half of it times the sum of the squared weights, without the biases, is the penalty.
        non_digits: whether there are images of non-digits, which are an eleventh class. No output is theirs: their
            logit is 0, and for sigmoid outputs, none is to be 1.
    """

    def __init__(self, name: str = "cross_entropy", l2: float = 0.0, non_digits: bool = False) -> None:
        self.name = name
        self.l2 = l2
        self.non_digits = non_digits

    @classmethod
    def of(cls, config: ModelConfig, non_digits: bool) -> "OutputLoss":
        """Return the loss that the settings of conf/model/ name."""
        if isinstance(config, MLPConfig):
            return cls(config.loss, config.l2, non_digits)
        return cls(non_digits=non_digits)

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean over the images.

        Args:
            outputs: of the last layer, before their activation, float [N, 10].
            labels: int64 [N], 0 to 9, or 10 for a non-digit.
        """
        if self.name == "cross_entropy":
            return F.cross_entropy(self.logits(outputs), labels)
        wrong, right = TARGETS[self.name]
        every = outputs.new_full((len(labels), CLASSES + self.non_digits), wrong)
        wanted = every.scatter_(1, labels.unsqueeze(1), right)[:, :CLASSES]
        if self.name == "binary_cross_entropy":
            return F.binary_cross_entropy_with_logits(outputs, wanted, reduction="sum") / len(labels)
        return F.mse_loss(torch.sigmoid(outputs), wanted, reduction="sum") * (0.5 / len(labels))

    def logits(self, outputs: Tensor) -> Tensor:
        """Return the logits [N, 10], whose softmax has the probabilities; [N, 11] with that of a non-digit.

        Of sigmoid outputs they are the logarithms, so that the softmax is the share of all; with non-digits the
        log-odds, so that it is the probability of each if at most one is 1.
        """
        if self.non_digits:
            return F.pad(outputs, (0, 1))
        return outputs if self.name == "cross_entropy" else F.logsigmoid(outputs)

    def penalty(self, network: nn.Module) -> Tensor:
        """Return what weights of this size add to the loss."""
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        return self.l2 / 2 * torch.stack([layer.weight.square().sum() for layer in layers]).sum()


def probabilities(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the probabilities of the ten digits, [N, 10], of logits [N, 10] or [N, 11]."""
    return (logits / temperature).softmax(dim=1)[:, :CLASSES]
