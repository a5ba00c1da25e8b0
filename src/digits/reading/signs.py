"""Find the slashes, brackets, commas and degree signs among what was read in a row: by that row they are known."""

import math
from collections.abc import Sequence
from statistics import median_high

import numpy as np

from digits.handwriting.morphology import Grey

INKED = 0.3
"""How much ink a pixel of a stroke has at least."""

BARE = 0.02
"""Of a stroke's height, how far its middle may be from a curve without a hook or a foot, on the quadratic mean."""

LEANING = 0.25
"""Pixels to the right for each pixel up, from which on a stroke leans as a slash does; a bracket leans less."""

BOWED = 0.25
"""From which on a stroke is a bracket: four times what its middle is beside its ends, in heights, as 1s rarely are."""

TALLER = 1.05
"""Times the height of the row's highest digit that a slash or a bracket is at least."""

SHORT = 0.45
"""Times a row's median height that a digit is at least; of those on real pages the lowest is 0.47 times as high."""


def find_signs(heights: Sequence[int], strokes: Sequence[Grey | None]) -> list[bool]:
    """Return which of a row's digits are signs.

    Slashes and brackets are bare strokes, higher than all else in the row, that lean and stand between others, or are
    bowed. Commas and degree signs are far lower than the rest.

    Args:
        heights: of what was read in the row, from left to right, in pixels of the picture.
        strokes: the ink of each that was read as a 1, [height, width] in [0, 1], cropped to it; None for others.
    """
    if not heights:
        return []
    last = len(strokes) - 1
    shaped = [
        stroke is not None and _is_shaped_so(stroke, between=0 < place < last) for place, stroke in enumerate(strokes)
    ]
    highest = max(
        (height for height, is_shaped in zip(heights, shaped, strict=True) if not is_shaped), default=math.inf
    )
    low, high = SHORT * median_high(heights), TALLER * highest
    return [height < low or (is_shaped and height > high) for height, is_shaped in zip(heights, shaped, strict=True)]


def _is_shaped_so(stroke: Grey, between: bool) -> bool:
    """Whether a stroke may be a slash, if it stands between digits, or a bracket."""
    height = len(stroke)
    ink = np.where(stroke > INKED, stroke, 0)
    rows = np.flatnonzero(ink.any(axis=1))
    if len(rows) <= 3:  # which a curve always goes through
        return False
    middle = ink[rows] @ np.arange(stroke.shape[1]) / ink[rows].sum(axis=1) / height
    down = (rows - rows.mean()) / height
    curve = np.polyfit(down, middle, 2)
    if np.std(middle - np.polyval(curve, down)) > BARE:
        return False
    leans, is_bowed = -curve[1] > LEANING, abs(curve[0]) > BOWED
    return bool(between and not is_bowed if leans else is_bowed)
