"""The page network: a small U-Net that finds the ink of each handwritten digit on any picture."""

import itertools
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = (16, 32, 48, 96, 144)
"""Channels of each level, from half the picture's resolution to a thirty-second."""


class PageNet(nn.Module):
    """Finds the ink of digits and lets each pixel vote for the middle and the size of its digit.

    A U-Net (Ronneberger et al. 2015) on the picture's pixels, four of which are one place of the first level with four
    channels (Shi et al. 2016, pixel shuffle).
    """

    def __init__(self) -> None:
        super().__init__()
        inputs = (4, *CHANNELS[:-1])
        self.down = nn.ModuleList(_block(before, after) for before, after in zip(inputs, CHANNELS, strict=True))
        self.up = nn.ModuleList(_block(deep + shallow, shallow) for shallow, deep in itertools.pairwise(CHANNELS))
        self.ink = nn.Conv2d(CHANNELS[0], 8, 1)
        self.votes = nn.Conv2d(CHANNELS[0], 3, 1)
        self.to(memory_format=torch.channels_last)  # which its maps then are too: a step is a quarter faster on a CPU

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each pixel is.

        Args:
            pictures: float32 [N, 1, height, width] in [0, 1]; the sides are multiples of 32.

        Returns:
            The logits of being ink of a digit, and of any writing, [N, 2, height, width], and for each 2x2 pixels the
            way to the middle of their digit, x and y, and the logarithm of its longer side, both over the USUAL_SIZE
            of handwriting/grouping.py, [N, 3, height/2, width/2].
        """
        values = F.pixel_unshuffle(2 * pictures - 1, 2)
        levels = []
        for number, block in enumerate(self.down):
            values = block(F.max_pool2d(values, 2) if number else values)
            levels.append(values)
        for number in reversed(range(len(self.up))):
            # by the nearest, whose gradient is deterministic on a GPU too (torch.use_deterministic_algorithms)
            values = self.up[number](torch.cat([F.interpolate(values, scale_factor=2), levels[number]], dim=1))
        return F.pixel_shuffle(cast(Tensor, self.ink(values)), 2), cast(Tensor, self.votes(values))


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before in (inputs, outputs):
        layers += [nn.Conv2d(before, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
