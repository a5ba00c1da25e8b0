"""LeCun's recipe: from one digit's ink to 28x28 as MNIST has it (LeCun et al. 1998, section III.A)."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.handwriting.boxes import Box
from digits.handwriting.morphology import Grey, distances, spread

Pixel = TypeVar("Pixel", np.uint8, np.float32)

FAINT = 0.2
"""The share of a pixel that a stroke narrower than a pixel may fill; with 0.5 pale and thin strokes would break."""

SIDE = 28
"""Pixels of the network's image."""

BOX = 20
"""Pixels of the longer side of the ink."""

MIDDLE = 14.5
"""Where the centre of mass comes to: MNIST's 60,000 training images have it at 14.50 +- 0.29, both ways."""

FINE = 4
"""Times the 20 pixels at which the strokes' width is changed."""

NEAR = 8
"""Fine pixels by which a thin stroke grows at most."""

HALF = 0.53
"""Pixels that the centre of mass may be from MIDDLE: half of one, and what MNIST's makers rounded."""

THINNEST, THICKEST = 1.5, 3.7
"""Pixels of the 20: the first and the last hundredth of MNIST's training images have strokes thinner or thicker."""


def form(ink: Grey) -> Grey:
    """Bring the ink of one digit, cropped to it, float32 [height, width] in [0, 1], to MNIST's form, [28, 28]."""
    return centre(resize(with_usual_strokes(ink), BOX))


def stroke_width(ink: Grey) -> float:
    """Measure how wide the strokes are, in pixels: twice the ink by the length of its outline.

    The outline of an image with soft edges is the sum of its gradients (the coarea formula).
    """
    framed = np.pad(ink, 1)
    across, down = np.diff(framed, axis=1)[:-1], np.diff(framed, axis=0)[:, :-1]
    return 2 * float(ink.sum()) / float(np.hypot(across, down).sum())


def with_usual_strokes(ink: Grey) -> Grey:
    """Make strokes thicker or thinner that are far from MNIST's; others stay as they are."""
    height, width = ink.shape
    factor = BOX / max(height, width)
    now = stroke_width(ink) * factor
    if THINNEST <= now <= THICKEST:
        return ink
    fine = resize(ink, BOX * FINE)
    framed = np.pad(fine, round(THINNEST * FINE))
    if now < THINNEST:
        mask = framed > FAINT
        depth = distances(mask, NEAR)
        # noise is thin, but when it is reduced one thick stroke, of which half a pixel each side is kept as below
        more = max((THINNEST * FINE - stroke_width(fine)) / 2, FINE / 2 - float(depth.max()))
    else:
        mask = framed > 0.5
        depth = distances(mask, BOX * FINE // 2)
        ridge = depth[(depth == spread(depth, 2 * FINE + 1)) & mask]  # the middle of the strokes
        # no stroke is made to vanish: the thinner ones keep half a pixel on each side of their middle
        more = max(THICKEST * FINE / 2 - float(np.median(ridge)), FINE / 2 - float(np.percentile(ridge, 10)))
    distance = depth - distances(~mask, NEAR)
    changed: Grey = np.clip(distance + more, 0, 1).astype(np.float32)
    return changed[Box.around(changed > 0).slices]


def resize(ink: Grey, side: int) -> Grey:
    """Bring the longer side to so many pixels, with antialiasing, and the darkest ink to 1."""
    height, width = ink.shape
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = np.clip(np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.LANCZOS)), 0, 1)  # it overshoots
    scaled: Grey = small / small.max()
    return scaled


def centre(ink: Grey) -> Grey:
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


def in_mnist_form(images: NDArray[Pixel]) -> NDArray[np.bool_]:
    """Return for each image, [N, height, width], 0 to 255, whether it is as MNIST's, which the network takes as it is.

    These have bright ink on black, its longer side of 20 pixels (16 of MNIST's 70,000 have 19), and its centre of mass
    in the middle to the nearest whole pixel. All of MNIST's are.
    """
    formed = np.full(len(images), images.shape[1:] == (SIDE, SIDE))
    if not formed.any():
        return formed
    levels = images.astype(np.uint8, copy=False)
    places = np.arange(SIDE) + 0.5
    longest = np.zeros(len(images), dtype=np.intp)
    for axis in (2, 1):
        sums = levels.sum(axis=axis, dtype=np.uint32)
        occupied = sums > 0
        extent = SIDE - occupied.argmax(axis=1) - occupied[:, ::-1].argmax(axis=1)  # SIDE where there is no ink
        longest = np.maximum(longest, extent)
        middle = sums @ places / sums.sum(axis=1).clip(min=1)
        formed &= np.abs(middle - MIDDLE) < HALF
    return formed & (longest >= BOX - 1) & (longest <= BOX)


def bright_on_black(images: NDArray[Pixel]) -> NDArray[Pixel]:
    """Return images, [N, height, width], 0 to 255; those that are as MNIST's but dark on white as their negatives."""
    if images.shape[1:] != (SIDE, SIDE):
        return images
    negatives = 255 - images
    return np.where(in_mnist_form(negatives)[:, None, None], negatives, images)
