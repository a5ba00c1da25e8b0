"""Morphology in plain NumPy: spreading, what hangs together, distances and blurring.

SciPy's ndimage has all of it, but to import it takes 0.3 s, which is a third of what reading a picture takes.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
"""[height, width]."""
Mask = NDArray[np.bool_]
"""[height, width]."""
Value = TypeVar("Value", bound=np.generic)


def spread(values: NDArray[Value], window: int) -> NDArray[Value]:
    """Return each pixel the largest value in a window round it, the dilation; what is outside does not count.

    The window doubles until it is wide enough, so that a wide one costs little more than a narrow one.
    """
    height, width = values.shape
    before = window // 2
    padded = np.full((height + window - 1, width + window - 1), values.min(), dtype=values.dtype)
    padded[before : before + height, before : before + width] = values
    values = padded
    for axis in (0, 1):
        size = 1
        while size < window:
            step = min(size, window - size)
            length = values.shape[axis] - step
            parts = (slice(length), slice(step, step + length))
            values = np.maximum(*(values[part] if axis == 0 else values[:, part] for part in parts))
            size += step
    return values


def connected(seeds: Mask, mask: Mask, most: int) -> Mask:
    """Return what of a mask hangs together with its seeds, at a corner too, within `most` pixels along it.

    (Vincent 1993, Morphological grayscale reconstruction in image analysis, of a binary image.)
    """
    for _ in range(most):
        wider = spread(seeds, 3) & mask
        if (wider == seeds).all():
            break
        seeds = wider
    return seeds


def distances(mask: Mask, most: int) -> NDArray[np.float32]:
    """Return each pixel of a mask how far the nearest pixel outside the mask is, up to `most` pixels; 0 outside.

    In two steps, along the columns and then along the rows (Felzenszwalb and Huttenlocher 2012, section 2.1).
    """
    height, width = mask.shape
    row = np.arange(height, dtype=np.float32)[:, None]
    above = np.maximum.accumulate(np.where(mask, -np.float32(most), row), axis=0)
    below = np.minimum.accumulate(np.where(mask, np.float32(height + most), row)[::-1], axis=0)[::-1]
    squares = np.pad(np.minimum(np.minimum(row - above, below - row), most) ** 2, ((0, 0), (most, most)), mode="edge")
    nearest = np.full((height, width), most**2, dtype=np.float32)
    for shift in range(-most, most + 1):
        np.minimum(nearest, squares[:, most + shift : most + shift + width] + shift**2, out=nearest)
    return np.sqrt(nearest)


def blur(values: Grey, window: int) -> Grey:
    """Return each pixel the mean of a window round it, twice, which is nearly a Gaussian; the edge goes on outside."""
    for _ in range(4):  # along the columns, the rows, and both once more
        length = len(values)
        framed = values[np.arange(-(window // 2), length + window - 1 - window // 2).clip(0, length - 1)]
        sums, size = framed, 1
        for digit in f"{window:b}"[1:]:  # over twice as many, and one more where the window's next binary digit is 1
            sums, size = sums[:-size] + sums[size:], 2 * size
            if digit == "1":
                sums, size = sums[:-1] + framed[size:], size + 1
        values = (sums / window).T
    return values
