"""From what the page network says of a picture's pixels to digits: what votes for one place is one digit."""

import numpy as np
from numpy.typing import NDArray

from digits.handwriting.boxes import Box
from digits.handwriting.morphology import Grey, blur, spread

MULTIPLE = 32
"""The network takes pictures whose sides are multiples of it."""

USUAL_SIZE = 45.0
"""Pixels of a digit's longer side, the middle of the sizes that the network is trained on; its votes are in it."""

INK = 0.4
"""The probability from which on a pixel is ink; with 0.5 thin strokes break, on ../shared's single digits."""

FEWEST = 0.15
"""Votes for 2x2 pixels, as a mean over some, that are none."""

BESIDE, ABOVE = 0.25, 0.6
"""Times a digit's size that the middles of two digits are apart, side by side and one above the other."""

WEAK, BESIDE_WEAK = 0.2, 0.35
"""Up to which share of the votes for a digit a place beside it is weak, as there is one where two digits touch, and how
far it must be from it, as above."""

NEAR = 0.5
"""Times a digit's size that its ink may vote beside its middle."""

MOST = 1000
"""Digits of a picture; more is a texture."""

Group = tuple[int, Box, tuple[float, float], float, float]
"""The number of a digit, its box, its middle (x and y), its size, and the mean probability of its ink."""


def grouped(ink: Grey, votes: NDArray[np.float32]) -> tuple[NDArray[np.int32], list[Group]]:
    """Number the digits of a picture: the ink that votes for one place is one.

    Args:
        ink: the probability, [height, width].
        votes: [3, height/2, width/2] at least, as models/pagenet.py says.

    Returns:
        The number of the digit that each pixel is ink of, 0 for none, and of each digit its number, its box, its middle
        (x and y), its size in pixels, and the mean probability of its ink.
    """
    numbers = np.zeros(ink.shape, dtype=np.int32)
    y, x = np.nonzero(ink > INK)
    if not y.size:
        return numbers, []
    across, down, logarithm = votes[:, y // 2, x // 2]
    size = USUAL_SIZE * np.exp(np.clip(logarithm, -3, 3))
    voted = np.stack([x + across * USUAL_SIZE, y + down * USUAL_SIZE])
    peaks = _peaks(voted, size, votes.shape[1:])
    distance = np.full(y.size, np.inf)
    owner = np.zeros(y.size, dtype=np.int32)
    order = np.argsort(voted[0])  # what votes near a peak is a part of it
    sorted_x = voted[0, order]
    for number, (peak_x, peak_y, peak_size) in enumerate(peaks, 1):
        reach = NEAR * peak_size
        start, end = np.searchsorted(sorted_x, (peak_x - reach, peak_x + reach))
        part = order[start:end]
        near = np.hypot(voted[0, part] - peak_x, voted[1, part] - peak_y)
        nearest = (near < distance[part]) & (near < reach)
        distance[part[nearest]], owner[part[nearest]] = near[nearest], number
    found: list[Group] = []
    by_owner = np.argsort(owner, kind="stable")
    for own in np.split(by_owner, np.searchsorted(owner[by_owner], np.arange(1, len(peaks) + 1)))[1:]:
        if not own.size:
            continue
        rows, columns = y[own], x[own]
        box = Box(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
        numbers[rows, columns] = len(found) + 1
        middle = (float(np.median(voted[0, own])), float(np.median(voted[1, own])))
        found.append((len(found) + 1, box, middle, float(np.median(size[own])), float(ink[rows, columns].mean())))
    return numbers, found


def _peaks(
    voted: NDArray[np.float32], size: NDArray[np.float32], shape: tuple[int, ...]
) -> list[tuple[float, float, float]]:
    """Return where most votes go, x and y, and what size they say; none in the reach of a stronger one."""
    height, width = shape
    across, down = (np.clip(np.rint(voted[axis] / 2), 0, shape[1 - axis] - 1).astype(np.intp) for axis in (0, 1))
    cells = down * width + across
    counts = blur(np.bincount(cells, minlength=height * width).reshape(height, width).astype(np.float32), 3)
    sizes = blur(np.bincount(cells, size, minlength=height * width).reshape(height, width).astype(np.float32), 3)
    tops = np.argwhere((counts == spread(counts, 5)) & (counts > FEWEST))
    strength = counts[tops[:, 0], tops[:, 1]]
    order = np.argsort(-strength, kind="stable")[:MOST]
    tops, strength = tops[order], strength[order]
    places = 2.0 * tops[:, ::-1]
    own_sizes = sizes[tops[:, 0], tops[:, 1]] / strength
    kept = np.zeros(len(tops), dtype=bool)
    for number, (place, own_size, votes) in enumerate(zip(places, own_sizes, strength, strict=True)):
        across, down = (places[kept] - place).T
        away = np.hypot(across / np.where(votes > WEAK * strength[kept], BESIDE, BESIDE_WEAK), down / ABOVE)
        kept[number] = bool((away > np.maximum(own_size, own_sizes[kept])).all())
    return [(float(x), float(y), float(of)) for (x, y), of in zip(places[kept], own_sizes[kept], strict=True)]
