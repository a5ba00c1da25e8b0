"""A clean picture of a digit comes to look as MNIST's do."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from digits.data import mnist
from digits.handwriting.ink import threshold
from digits.handwriting.normalize import (
    BOX,
    MIDDLE,
    THICKEST,
    THINNEST,
    centre,
    resize,
    stroke_width,
    with_usual_strokes,
)
from digits.handwriting.page import normalize


def bar(height: int = 100, width: int = 80, ink: float = 0, paper: float = 255) -> NDArray[np.float32]:
    picture = np.full((height, width), paper, dtype=np.float32)
    picture[20:70, 30:40] = ink
    return picture


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0), (90, 150), (200, 120), (0, 30)])
def test_dark_on_light_and_light_on_dark_are_the_same(ink: float, paper: float) -> None:
    image = normalize(bar(ink=ink, paper=paper))
    assert image is not None
    assert image.shape == (28, 28)
    assert image.dtype == np.float32
    black = normalize(bar())
    assert black is not None
    np.testing.assert_allclose(image, black, atol=0.02)


def test_the_longer_side_is_20_and_the_mass_is_in_the_middle() -> None:
    picture = Image.new("L", (300, 200), 255)
    ImageDraw.Draw(picture).line([(20, 180), (90, 20), (100, 180)], fill=0, width=12)
    image = normalize(np.asarray(picture, dtype=np.float32))
    assert image is not None
    rows, columns = np.nonzero(image > 0.1)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    places = np.arange(28) + 0.5
    for axis in (0, 1):
        assert float(image.sum(axis=1 - axis) @ places / image.sum()) == pytest.approx(MIDDLE, abs=0.5)
    assert image.max() == 1
    assert image.min() == 0


def test_mnists_own_images_come_back_as_they_are(data_dir: Path) -> None:
    images = mnist.read(data_dir, train=True)[0][:200].numpy()
    moved = []
    for original in images:
        again = normalize(original.astype(np.float32))
        assert again is not None
        moved.append(np.abs(again - original / 255).mean())
    assert np.mean(moved) < 0.02


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_page_has_no_ink(level: int) -> None:
    noise = np.random.default_rng(0).normal(0, 2, (200, 200))
    assert normalize(np.clip(level + noise, 0, 255).astype(np.float32)) is None


def test_a_few_thin_pixels_on_a_large_page_are_ink() -> None:
    page = np.full((1000, 1000), 255, dtype=np.float32)
    page[480:520, 500] = 0
    image = normalize(page)
    assert image is not None
    assert image.sum() > 5


def test_the_threshold_parts_two_classes() -> None:
    values = np.array([[0.1] * 900 + [0.8] * 100], dtype=np.float32)
    assert 0.1 < threshold(values) < 0.8


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
