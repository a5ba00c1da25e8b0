"""A clean picture of a digit comes to look as MNIST's do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from digits.data import mnist
from digits.handwriting.normalize import (
    BOX,
    THICKEST,
    THINNEST,
    centre,
    form,
    resize,
    stroke_width,
    with_usual_strokes,
)


def test_mnists_own_images_come_back_as_they_are(data_dir: Path) -> None:
    images = mnist.read(data_dir, train=True)[0][:200].numpy().astype(np.float32) / 255
    moved = [
        np.abs(form(original[np.ix_(original.any(axis=1), original.any(axis=0))]) - original).mean()
        for original in images
    ]
    assert np.mean(moved) < 0.02


@pytest.mark.parametrize("width", [3, 8, 20])
def test_the_width_of_a_stroke_is_measured(width: int) -> None:
    stroke = np.ones((400, width), dtype=np.float32)
    assert stroke_width(stroke) == pytest.approx(width, rel=0.06)


@pytest.mark.parametrize(("pen", "changed"), [(1, True), (30, False), (110, True)])
def test_strokes_come_to_mnists_range(pen: int, changed: bool) -> None:
    picture = Image.new("F", (400, 400), 0)
    ImageDraw.Draw(picture).line([(80, 60), (320, 60), (150, 340)], fill=1, width=pen, joint="curve")
    ink = np.asarray(picture)
    ink = ink[np.ix_(ink.any(axis=1), ink.any(axis=0))]
    usual = with_usual_strokes(ink)
    assert (usual is not ink) == changed
    assert THINNEST - 0.4 <= stroke_width(resize(usual, BOX)) <= THICKEST + 0.3
    assert max(resize(usual, BOX).shape) == BOX


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (300, 2), (20, 20)])
def test_any_shape_of_ink_fits(shape: tuple[int, int]) -> None:
    page = centre(resize(np.ones(shape, dtype=np.float32), BOX))
    assert page.shape == (28, 28)
    assert page.max() == 1


def test_noise_that_is_thick_when_it_is_reduced_does_not_vanish() -> None:
    noise = np.random.default_rng(1).uniform(0.4, 1, (700, 1000)).astype(np.float32)
    assert stroke_width(noise) * BOX / 1000 < THINNEST
    assert form(noise).max() == 1
