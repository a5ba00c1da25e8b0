"""LeNet-5, after LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition (1998)."""

from typing import cast

from torch import Tensor, nn

from digits.models.convolution import PooledConv2d
from digits.models.standardize import standardize


class LeNet5(nn.Module):
    """Two convolutions with pooling, three dense layers; 61,706 weights.

    The paper's section II.B as it is trained today: ReLU instead of tanh in the convolutions, max pooling instead of
    trained averaging, every map of the second convolution on all of the first, logits instead of radial units.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            PooledConv2d(1, 6, kernel_size=5, padding=2),  # C1: [6, 28, 28], 156 weights; padded to the paper's 32; S2
            PooledConv2d(6, 16, kernel_size=5),  # C3: [16, 10, 10], 2,416 weights; S4: [16, 5, 5]
            nn.Flatten(),
            nn.Linear(400, 120),  # C5: 48,120 weights
            nn.Tanh(),
            nn.Linear(120, 84),  # F6: 10,164 weights
            nn.Tanh(),
            nn.Linear(84, 10),  # output: 850 weights
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float [N, 10], of images, float [N, 1, 28, 28] in [0, 1], bright ink on black."""
        return cast(Tensor, self.layers(standardize(images)))
