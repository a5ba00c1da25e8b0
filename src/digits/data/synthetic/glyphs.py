"""Write single digits and signs in somebody's hand, and lay them on a sheet."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from digits.data.synthetic.forms import DIGITS
from digits.data.synthetic.paper import Grey
from digits.data.synthetic.strokes import sample
from digits.handwriting.boxes import Box

Digits = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""MNIST's images, [N, 28, 28], and their labels."""

FINE = 3
"""Times the size that strokes are drawn at before they are reduced, for soft edges."""


INK = 0.4
"""The share of a stroke's darkest pixel from which on a pixel is its ink."""


@dataclass(frozen=True)
class Hand:
    """How one person writes on one page."""

    slant: float
    """Pixels to the right for each pixel up."""
    width: float
    """Times a digit's usual width."""
    pen: float
    """The strokes' width in heights of a digit."""
    from_mnist: float
    """The share of digits that are MNIST's."""
    print_like: bool
    """Whether each digit has one form on the whole page."""


def digit(label: int, size: float, hand: Hand, pen: float, rng: Generator, mnist: Digits) -> Grey:
    """Return the ink of a digit, cropped to it."""
    if rng.random() >= hand.from_mnist:
        forms = DIGITS[str(label)]
        form = (forms[int(hand.slant * 1e6) % len(forms)],) if hand.print_like else forms  # the hand's own, always
        return drawn(sample(form, rng), size, hand, pen)
    images, labels = mnist
    while True:
        place = rng.integers(len(labels))
        if labels[place] == label:
            break
    image = images[place]
    cropped = Image.fromarray(image[Box.around(image > 0).slices])
    factor = size / max(cropped.size)
    width, height = max(3, round(cropped.width * factor)), max(3, round(cropped.height * factor))
    rim = max(1, round(2 * factor))
    soft = Image.new("L", (width + 2 * rim, height + 2 * rim))
    soft.paste(cropped.resize((width, height), Image.Resampling.BICUBIC), (rim, rim))
    values = np.asarray(soft, dtype=np.float32) / 255
    # a stroke's edge is where the grey goes through the middle; a higher or lower level makes it thinner or thicker
    level = float(rng.uniform(0.25, 0.75))
    sharp = np.clip((values - level) * rng.uniform(1, max(1.5, factor)) + 0.5, 0, 1)
    return _cropped(np.where(values > 0.05, sharp, 0).astype(np.float32, copy=False))


def drawn(curves: Sequence[NDArray[np.float64]], size: float, hand: Hand, pen: float) -> Grey:
    """Return the ink of curves, as high as said, cropped to it."""
    matrix = np.array([[hand.width, 0], [-hand.slant, 1]]) * size * FINE
    placed = [curve @ matrix for curve in curves]
    everything = np.vstack(placed)
    width = max(1, round(pen * FINE))
    low, high = everything.min(axis=0) - width, everything.max(axis=0) + width
    extent = np.ceil((high - low) / FINE).astype(int) * FINE
    sheet = Image.new("L", (int(extent[0]), int(extent[1])), 0)
    ink = ImageDraw.Draw(sheet)
    for curve in placed:
        points = [tuple(point) for point in curve - low]
        ink.line(points, fill=255, width=width, joint="curve")
        for x, y in (points[0], points[-1]):
            ink.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return _cropped(np.asarray(sheet.reduce(FINE), dtype=np.float32) * np.float32(1 / 255))


def _cropped(ink: Grey) -> Grey:
    there = ink > 0.1
    return ink[Box.around(there).slices] if there.any() else np.ones((1, 1), np.float32)


def stamp(ink: Grey, numbers: NDArray[np.int16], glyph: Grey, x: int, y: int, number: int) -> tuple[int, int, int, int]:
    """Lay ink on the sheet, and its number where it is the darkest; return its box, left, top, right, bottom."""
    side = ink.shape[0]
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + glyph.shape[1], side), min(y + glyph.shape[0], side)
    if left >= right or top >= bottom:
        return left, top, left, top
    part = glyph[top - y : bottom - y, left - x : right - x]
    there = ink[top:bottom, left:right]
    own = (part > INK * glyph.max()) & (part >= there)
    numbers[top:bottom, left:right][own] = number
    np.maximum(there, part, out=there)
    return left, top, right, bottom
