"""Multilayer perceptrons: the 784-200-10 network of the tutorials, and every other stack of fully connected layers."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from digits.models.standardize import standardize

ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}


class MLP(nn.Module):
    """784 inputs, fully connected hidden layers with one activation, 10 outputs.

    Args:
        hidden: units of each hidden layer, from the image to the output.
        activation: of the hidden layers, a key of ACTIVATIONS.
        biases: whether each unit has one.
        initialisation: what the first weights and biases are drawn from: torch (the library's own), fan_out (normal,
            variance 1/n with n the units of the layer they lead to), normal or uniform.
        spread: the deviation of normal, the largest value of uniform.
        input_range: what a black and a white pixel are to the first layer; None: mean 0 and deviation 1 over MNIST.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (200,),
        activation: str = "sigmoid",
        biases: bool = True,
        initialisation: str = "torch",
        spread: float | None = None,
        input_range: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.input_range = input_range
        layers: list[nn.Module] = [nn.Flatten()]
        width = 28 * 28
        for units in hidden:
            layers += [nn.Linear(width, units, bias=biases), ACTIVATIONS[activation]()]
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, 10, bias=biases))
        if initialisation != "torch":
            for layer in self.layers:
                if isinstance(layer, nn.Linear):
                    _initialise(layer, initialisation, spread or layer.out_features**-0.5)

    def forward(self, images: Tensor) -> Tensor:
        """Return outputs before their activation, float [N, 10].

        Args:
            images: float [N, 1, 28, 28] in [0, 1], bright ink on black.
        """
        return cast(Tensor, self.layers(self._scaled(images)))

    def _scaled(self, images: Tensor) -> Tensor:
        """Bring images from [0, 1] to what the first layer takes."""
        if self.input_range is None:
            return standardize(images)
        black, white = self.input_range
        scaled = images if white - black == 1 else images * (white - black)
        return scaled + black if black else scaled


@torch.no_grad()
def _initialise(layer: nn.Linear, initialisation: str, spread: float) -> None:
    for parameters in layer.parameters():
        if initialisation == "uniform":
            parameters.uniform_(-spread, spread)
        else:
            parameters.normal_(0, spread)
