"""Remove the ring that somebody drew round a digit, which the page network takes for a part of it."""

import numpy as np

from digits.handwriting.boxes import Box
from digits.handwriting.morphology import Grey, Mask, connected, spread

INKED = 0.3
"""How much ink a pixel of a stroke has at least."""

HIGH = 0.4
"""Times the height of a ring that what stands in it is at least, or it is a speck in a 0."""

SURROUNDED = 3
"""On how many sides of what stands in it there is ring: a part of a ring may be taken for another digit's."""


def without_ring(ink: Grey) -> Grey:
    """Return ink without the ring round what stands in it and touches it nowhere; all of it, where there is none.

    Args:
        ink: of a digit, [height, width] in [0, 1].
    """
    drawn = ink > INKED
    if not drawn.any():
        return ink
    part = Box.around(drawn).slices
    inked = drawn[part]
    if not _loose(inked[::2, ::2]).any():  # which is faster to see at half the size
        return ink
    rest = _loose(inked)
    ring = inked & ~rest
    before = [np.logical_or.accumulate(ring, axis) for axis in (0, 1)]
    behind = [np.flip(np.logical_or.accumulate(np.flip(ring, axis), axis), axis) for axis in (0, 1)]
    inside = rest & (np.sum(before + behind, axis=0) >= SURROUNDED)
    if inside.any(axis=1).sum() < HIGH * len(ring):
        return ink
    kept = np.zeros_like(drawn)
    kept[part] = connected(inside, rest, rest.size)
    return np.where(spread(kept, 3), ink, 0).astype(np.float32)


def _loose(inked: Mask) -> Mask:
    """Return what hangs together with no edge."""
    rim = np.ones_like(inked)
    rim[1:-1, 1:-1] = False
    return inked & ~connected(inked & rim, inked, inked.size)
