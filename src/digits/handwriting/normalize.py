"""LeCun's recipe: from a picture's brightness to 28x28 as MNIST has it (LeCun et al. 1998, section III.A)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 28
"""Pixels of the network's image."""

BOX = 20
"""Pixels of the longer side of the ink."""

MIDDLE = 14.5
"""Where the centre of mass comes to: MNIST's 60,000 training images have it at 14.50 +- 0.29, both ways."""

LEAST_CONTRAST = 24
"""Grey levels of 255 between paper and ink; less is the paper's own grain."""


def normalize(brightness: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Bring a picture of one digit to the form of MNIST's.

    Args:
        brightness: float32 [height, width], 0 to 255, dark ink on light or light on dark.

    Returns:
        float32 [28, 28] in [0, 1], bright ink on black, or None where there is no ink.
    """
    ink = find_ink(brightness)
    if ink is None:
        return None
    return centre(scale(crop(ink)))


def find_ink(brightness: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Say how much ink each pixel has: float32 [height, width] in [0, 1]; None where there is none.

    The paper is the most of a picture, so its median; the ink is what differs most from it, on either side.
    """
    paper = float(np.median(brightness))
    darkest, lightest = np.percentile(brightness, (0.5, 99.5))
    # of small or thin drawings less than half a percent may be ink, so their extremes count as well
    if max(lightest - paper, paper - darkest) < LEAST_CONTRAST:
        darkest, lightest = float(brightness.min()), float(brightness.max())
    contrast = max(lightest - paper, paper - darkest)
    if contrast < LEAST_CONTRAST:
        return None
    distance = brightness - paper if lightest - paper > paper - darkest else paper - brightness
    ink: NDArray[np.float32] = np.clip(distance / contrast, 0, 1, dtype=np.float32)
    return ink


def crop(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut away what has no ink: less than a threshold between the paper's grain and the ink (Otsu 1979)."""
    threshold = otsu(ink)
    marked = ink > threshold
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    clean = np.where(ink > threshold / 2, ink, 0)  # half of it keeps the strokes' soft edges
    return clean[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def otsu(ink: NDArray[np.float32]) -> float:
    """Give the threshold that parts the values best in two classes: the largest variance between them (Otsu 1979)."""
    counts, edges = np.histogram(ink, bins=64, range=(0, 1))
    middles = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()[:-1]
    above = ink.size - below
    sums = (counts * middles).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    return float(edges[1 + int(np.nanargmax(between))])


def scale(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring the longer side to 20 pixels, with antialiasing, and the darkest ink back to 1: [h, w], h, w <= 20."""
    height, width = ink.shape
    factor = BOX / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.LANCZOS))
    scaled: NDArray[np.float32] = np.clip(small / small.max(), 0, 1, dtype=np.float32)
    return scaled


def centre(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay the ink, at most 20x20, on 28x28 with its centre of mass in the middle, to the nearest whole pixel."""
    page = np.zeros((SIDE, SIDE), dtype=np.float32)
    corner = []
    for axis, length in enumerate(ink.shape):
        mass = ink.sum(axis=1 - axis)
        centre_of_mass = float((np.arange(length) + 0.5) @ mass / mass.sum())
        corner.append(min(max(round(MIDDLE - centre_of_mass), 0), SIDE - length))
    top, left = corner
    page[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return page
