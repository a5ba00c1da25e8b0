"""Distortion: what each range does, and that a step is always distorted in the same way."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from digits.config.data import DistortionConfig
from digits.data.augmentation import Distortion

RANGES = dict.fromkeys(("rotation", "shear", "aspect", "scale", "shift", "thickness", "elastic"), 0.0)
NONE = DistortionConfig(name="light", end_strength=1, **RANGES)


def distorted(images: Tensor, step: int = 0, seed: int = 1, **ranges: Any) -> Tensor:
    distortion = Distortion(replace(NONE, **ranges), seed, torch.device("cpu"))
    return distortion(images, distortion.draw(len(images), step))


@pytest.fixture
def images() -> Tensor:
    """64 times a thick T."""
    image = torch.zeros(1, 28, 28)
    image[0, 6:10, 6:22] = 1
    image[0, 6:22, 12:16] = 1
    return image.expand(64, 1, 28, 28).clone()


def test_without_ranges_nothing_changes(images: Tensor) -> None:
    torch.testing.assert_close(distorted(images), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "ranges",
    [
        {"rotation": 20},
        {"shear": 0.3},
        {"aspect": 0.3},
        {"scale": 0.2},
        {"shift": 3},
        {"thickness": 0.8},
        {"elastic": 1.5},
    ],
)
def test_each_image_is_distorted_its_own_way(images: Tensor, ranges: Any) -> None:
    before = images.clone()
    found = distorted(images, **ranges)
    assert found.shape == images.shape
    assert torch.equal(images, before)
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-6
    assert len({image.numpy().tobytes() for image in found}) == 64
    assert float(found.mean()) == pytest.approx(float(images.mean()), rel=0.3)


def test_the_same_step_is_distorted_in_the_same_way(images: Tensor) -> None:
    ranges: Any = {"rotation": 10, "elastic": 1.0}
    assert torch.equal(distorted(images, step=5, **ranges), distorted(images, step=5, **ranges))
    assert not torch.equal(distorted(images, step=5, **ranges), distorted(images, step=6, **ranges))
    assert not torch.equal(distorted(images, step=5, **ranges), distorted(images, seed=2, step=5, **ranges))


def centres(images: Tensor) -> Tensor:
    """The centre of mass, x and y in pixels, [N, 2]."""
    places = torch.arange(28) + 0.5
    mass = images[:, 0].sum(dim=(1, 2))
    return torch.stack([(images[:, 0].sum(dim=axis) @ places) / mass for axis in (1, 2)], dim=1)


def test_a_shift_is_of_so_many_pixels_both_ways(images: Tensor) -> None:
    moved = centres(distorted(images, shift=3)) - centres(images)
    for axis in (0, 1):
        assert 2 < moved[:, axis].max() <= 3.01
        assert -3.01 <= moved[:, axis].min() < -2


def test_scale_and_aspect_change_the_extent(images: Tensor) -> None:
    def extent(found: Tensor, axis: int) -> Tensor:
        return (found[:, 0].amax(dim=axis) > 0.5).sum(dim=1).float()

    scaled = distorted(images, scale=0.3)
    assert 1.25 < extent(scaled, 1).max() / 16 < 1.45
    assert 0.65 < extent(scaled, 1).min() / 16 < 0.85
    stretched = distorted(images, aspect=0.5)
    ratio = extent(stretched, 2) / extent(stretched, 1)
    assert 1.4 < ratio.max() < 1.8
    assert 0.55 < ratio.min() < 0.75


def test_thickness_goes_both_ways(images: Tensor) -> None:
    ink = distorted(images, thickness=1).sum(dim=(1, 2, 3)) / images[0].sum()
    assert ink.max() > 1.3
    assert ink.min() < 0.7


def test_the_elastic_displacement_has_the_given_deviation_and_is_smooth() -> None:
    distortion = Distortion(replace(NONE, elastic=2.0), 1, torch.device("cpu"))
    ramp = torch.arange(28).float().expand(200, 1, 28, 28) / 28  # its brightness says where a pixel came from
    moved = (distortion(ramp, distortion.draw(200, 0)) - ramp)[:, 0, 10:18, 10:18] * 28
    assert float(moved.std()) == pytest.approx(2.0, rel=0.15)
    neighbours = (moved[:, :, 1:] - moved[:, :, :-1]).std()
    assert neighbours < 0.8
