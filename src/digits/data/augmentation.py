"""Distort training images by the batch, on their device: each sample its own way, in one resampling step."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from digits.config.data import DistortionConfig
from digits.formats.images import SIDE

SIGMA = 4.0
"""Pixels over which elastic displacements are alike (Simard, Steinkraus, Platt 2003, section 2)."""


DistortionParams = tuple[Tensor, ...]
"""What a mini-batch is distorted by: for each image an amount of each kind, float32 [N, 7], 0.5 for none, 0 to 1 at a
strength of 1; and where there is elastic displacement its noise, float32 [N, 2, nodes, nodes]."""


class Distortion:
    """Rotation, shear, aspect, scale, shift, elastic displacement and stroke thickness at random.

    The elastic displacement is Simard's: white noise smoothed by a Gaussian of 4 pixels. The noise lies on a grid of
    that spacing instead of on every pixel, which gives the same field at a fraction of the work.

    Args:
        config: the ranges.
        seed: what all is drawn by, with the step.
        device: where the images are.
    """

    def __init__(self, config: DistortionConfig, seed: int, device: torch.device) -> None:
        self.config = config
        self.seed = seed
        self.generator = torch.Generator(device)
        pixels = torch.arange(SIDE, device=device)
        middles = (2 * pixels + 1) / SIDE - 1  # grid_sample's coordinates: -1 to 1 from edge to edge
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        self.places = torch.stack([x, y, torch.ones_like(x)], dim=-1).view(-1, 3)
        nodes = torch.arange(-SIGMA, SIDE + SIGMA + 1, SIGMA, device=device)
        bumps = torch.exp(-((pixels[:, None] - nodes) ** 2) / (2 * SIGMA**2))
        self.smoothing = bumps / bumps.norm(dim=1, keepdim=True)  # the field's deviation is the noise's, everywhere
        ranges = (math.radians(config.rotation), config.shear, config.aspect, config.scale, config.shift, config.shift)
        self.ranges = torch.tensor((*ranges, config.thickness), device=device)

    def draw(self, count: int, step: int, strength: float = 1.0) -> DistortionParams:
        """Draw what `count` images are distorted by.

        Args:
            count: images of the mini-batch.
            step: the optimizer step that it is for; the same step distorts in the same way.
            strength: how many times as far as the ranges say.
        """
        self.generator.manual_seed(seed_of(self.seed, step))
        device, nodes = self.places.device, len(self.smoothing[0])
        amounts = torch.rand(count, len(self.ranges), generator=self.generator, device=device)
        if strength != 1:
            amounts = 0.5 + strength * (amounts - 0.5)
        if not self.config.elastic:
            return (amounts,)
        return amounts, strength * torch.randn((count, 2, nodes, nodes), generator=self.generator, device=device)

    def __call__(self, images: Tensor, params: DistortionParams) -> Tensor:
        """Distort a mini-batch.

        Args:
            images: float32 [N, 1, 28, 28] in [0, 1].
            params: what `draw` gave for it.

        Returns:
            As many images of the same shape and range.
        """
        amounts, *noise = params
        count = len(images)
        angle, shear, aspect, scale, right, down, thickness = ((2 * amounts - 1) * self.ranges).unbind(1)
        cosine, sine = angle.cos(), angle.sin()
        wider, higher = (-scale - aspect / 2).exp(), (-scale + aspect / 2).exp()
        # from a place in the new image to the place in the old one that it shows, x and y
        across = torch.stack([wider * cosine, wider * (sine + shear * cosine), right * 2 / SIDE], dim=1)
        along = torch.stack([-higher * sine, higher * (cosine - shear * sine), down * 2 / SIDE], dim=1)
        grid = (self.places @ torch.stack([across, along], dim=2)).view(count, SIDE, SIDE, 2)
        if noise:
            field = self.smoothing @ noise[0] @ self.smoothing.T
            grid += field.permute(0, 2, 3, 1) * (self.config.elastic * 2 / SIDE)
        moved = F.grid_sample(images, grid, align_corners=False)
        if self.config.thickness:
            amount = thickness.view(-1, 1, 1, 1)
            thicker, thinner = _spread(moved, torch.maximum), _spread(moved, torch.minimum)
            moved += amount.clamp(min=0) * (thicker - moved) + amount.clamp(max=0) * (moved - thinner)
        return moved


def seed_of(seed: int, step: int) -> int:
    """Return the random seed of an optimizer step: 32 bits, because the generator for the CPU takes no more."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])


def _spread(images: Tensor, choose: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return each pixel the largest or smallest of itself and its eight neighbours; faster than max_pool2d on a CPU."""
    for axis in (-2, -1):
        spread = images.clone()
        first, last = images.narrow(axis, 0, SIDE - 1), images.narrow(axis, 1, SIDE - 1)
        before, after = spread.narrow(axis, 0, SIDE - 1), spread.narrow(axis, 1, SIDE - 1)
        after.copy_(choose(after, first))
        before.copy_(choose(before, last))
        images = spread
    return images
