"""Multilayer perceptrons: the 784-200-10 network of the tutorials, and every other stack of fully connected layers."""

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from digits.config import TrainConfig
from digits.models.classifier import DigitClassifier
from digits.models.config import CLASSES, PIXELS, MLPConfig
from digits.models.objective import Loss

ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}


class MLP(DigitClassifier):
    """784 inputs, fully connected hidden layers with one activation, 10 outputs."""

    def __init__(self, settings: TrainConfig) -> None:
        model = cast(MLPConfig, settings.model)
        super().__init__(settings, _loss(model))
        self.model = model
        layers: list[nn.Module] = [nn.Flatten()]
        width = PIXELS
        for units in model.hidden:
            layers += [nn.Linear(width, units, bias=model.biases), ACTIVATIONS[model.activation]()]
            layers += [nn.Dropout(model.dropout)] if model.dropout else []
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, CLASSES, bias=model.biases))
        self.linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        for layer in self.linear:
            self._initialise(layer)

    @torch.no_grad()
    def _initialise(self, layer: nn.Linear) -> None:
        spread = layer.out_features**-0.5 if self.model.initialisation == "fan_out" else self.model.spread
        if spread is None:
            return  # torch's own, which the layer has already
        for parameters in layer.parameters():
            if self.model.initialisation == "uniform":
                parameters.uniform_(-spread, spread)
            else:
                parameters.normal_(0, spread)

    def scaled(self, images: Tensor) -> Tensor:
        """Bring images from [0, 1] to what the first layer takes."""
        if self.model.input_range is None:
            return super().scaled(images)
        black, white = self.model.input_range
        scaled = images if white - black == 1 else images * (white - black)
        return scaled + black if black else scaled

    def logits(self, outputs: Tensor) -> Tensor:
        """Give the logits [N, 10]; with sigmoid outputs their logarithms, so that the softmax is their share of all."""
        return F.logsigmoid(outputs) if self.model.output == "sigmoid" else outputs

    def penalty(self) -> Tensor | None:
        """Give what weights of this size add to the loss, None for nothing."""
        if not self.model.l2:
            return None
        return self.model.l2 / 2 * torch.stack([layer.weight.square().sum() for layer in self.linear]).sum()


def _loss(model: MLPConfig) -> Loss:
    if (model.output, model.loss) == ("softmax", "cross_entropy"):
        return F.cross_entropy
    if model.loss == "cross_entropy":
        return partial(binary_cross_entropy, model.targets)
    return partial(squared_error, model.targets, torch.sigmoid if model.output == "sigmoid" else _softmax)


def binary_cross_entropy(targets: list[float], outputs: Tensor, labels: Tensor) -> Tensor:
    """Give the cross-entropy of each sigmoid output for itself, summed over the ten, mean over the images.

    Args:
        targets: what the output of a wrong digit should be, and of the right one.
        outputs: before their sigmoid, [N, 10].
        labels: int64 [N].
    """
    wanted = _wanted(targets, outputs, labels)
    return F.binary_cross_entropy_with_logits(outputs, wanted, reduction="sum") / len(labels)


def squared_error(
    targets: list[float], activation: Callable[[Tensor], Tensor], outputs: Tensor, labels: Tensor
) -> Tensor:
    """Give half the squared error, summed over the ten outputs, mean over the images.

    Args:
        targets: what the output of a wrong digit should be, and of the right one.
        activation: of the outputs.
        outputs: before it, [N, 10].
        labels: int64 [N].
    """
    return F.mse_loss(activation(outputs), _wanted(targets, outputs, labels), reduction="sum") * (0.5 / len(labels))


def _wanted(targets: list[float], outputs: Tensor, labels: Tensor) -> Tensor:
    wrong, right = targets
    return torch.full_like(outputs, wrong).scatter_(1, labels.unsqueeze(1), right)


def _softmax(outputs: Tensor) -> Tensor:
    return outputs.softmax(dim=1)
