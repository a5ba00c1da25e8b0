"""Distorted versions of the training images, made once before the first step, so that the steps need not distort."""

import os

import torch
from torch import Tensor

from digits.data.augmentation import Distortion
from digits.data.chunks import SCALED_TOGETHER
from digits.data.config import DistortionConfig
from digits.errors import require

SEED = 3
"""What they are distorted by; not the run's seed, so that what a teacher says of them is the same for every run."""

MOST_MEMORY = 0.5
"""The share of the machine's memory that they may take."""


def counts(config: DistortionConfig) -> tuple[int, int]:
    """Give how many versions there are at full strength, and how many for the run's end, where that has another."""
    full = config.versions or 0
    if config.end_strength == 1 or not config.end_share:
        return full, 0
    # in proportion to the epochs; of images that are not distorted there is but one version
    return full, max(1, round(full * config.end_share)) if config.end_strength else 1


def version_of(config: DistortionConfig, epoch: int, epochs: int) -> int:
    """Give the version that an epoch takes, from 0, of a run of so many epochs; each has its turn."""
    full, at_the_end = counts(config)
    first = config.ends_at(epochs)
    return epoch % full if epoch < first else full + (epoch - first) % at_the_end


def make(images: Tensor, config: DistortionConfig) -> Tensor:
    """Distort all images in all versions.

    Args:
        images: uint8 [N, 28, 28].
        config: how, and how often.

    Returns:
        uint8 [versions x N, 28, 28], one version after the other, on the images' device.

    Raises:
        UserError: if they would take more than half of the machine's memory.
    """
    full, at_the_end = counts(config)
    _check_memory(full, (full + at_the_end) * images.nbytes)
    distortion = Distortion(config, SEED, images.device)
    made = torch.empty((full + at_the_end, *images.shape), dtype=torch.uint8, device=images.device)
    step = 0
    for version, of_version in enumerate(made):
        strength = 1.0 if version < full else config.end_strength
        for some, out in zip(images.split(SCALED_TOGETHER), of_version.split(SCALED_TOGETHER), strict=True):
            scaled = some.unsqueeze(1).float().mul_(1 / 255)
            distorted = distortion(scaled, distortion.draw(len(some), step, strength))
            out.copy_(distorted.squeeze(1).mul_(255).round_())
            step += 1
    return made.flatten(0, 1)


def _check_memory(versions: int, needed: int) -> None:
    if not hasattr(os, "sysconf"):
        return  # Windows does not say
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = int(versions * MOST_MEMORY * memory / needed)
    right = f"at most {most} for so many images: {needed / 1e9:.1f} GB is more than half of this machine's memory"
    require(needed <= MOST_MEMORY * memory, "augment.versions", versions, right)
