"""A picture's ink, its digits and what each of them becomes: the way from a picture to 28x28, step by step."""

from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from digits.handwriting.ink import find_ink, marks, threshold, without_rules
from digits.handwriting.morphology import Grey, Mask, blur, spread
from digits.handwriting.normalize import form
from digits.handwriting.segment import MOST_PIECES, Box, Piece, group, pieces, rows

MOST_CUTS = 4
"""Places of each kind at which touching digits may be parted."""

NARROWEST = 0.12
"""Of its height: what is narrower than that is no digit that was cut off."""


@dataclass(frozen=True)
class Page:
    """A picture and its ink."""

    brightness: Grey
    """0 to 255."""
    ink: Grey
    """How much ink each pixel has, 0 to 1."""
    level: float
    """The amount that parts ink and paper."""
    marks: Mask
    """What is ink, rules of the paper included."""
    labels: NDArray[np.int32]
    """The number of the piece of ink that each pixel belongs to, 0 for none."""
    pieces: list[Piece]
    """Without specks and without what only reaches in from outside; none where there is no ink."""

    @property
    def whole(self) -> Piece:
        """All ink as one digit; there has to be some."""
        return reduce(or_, self.pieces)

    @property
    def rows(self) -> list[list[Piece]]:
        """The ink as several digits, in the order of reading; all as one, if there is too much for digits."""
        return [[self.whole]] if len(self.pieces) > MOST_PIECES else rows(group(self.pieces))

    def cropped(self, piece: Piece) -> Grey:
        """Cut out a piece: its ink in [0, 1] with its soft edges, and nothing else."""
        inside = piece.box.slices
        mask = np.isin(self.labels[inside], piece.labels)
        near = spread(mask, 3, 3)
        return np.where(near & (self.ink[inside] > self.level / 2), self.ink[inside], 0)

    def image(self, piece: Piece) -> Grey:
        """Bring a piece to MNIST's form, float32 [28, 28] in [0, 1], bright ink on black."""
        return form(self.cropped(piece))

    def cuts(self, piece: Piece) -> list[int]:
        """Return the columns at which touching digits may be parted, from left to right.

        There the ink is least, or its upper and lower edge come nearest: where two round strokes meet it is thick.
        """
        mask = np.isin(self.labels[piece.box.slices], piece.labels)
        height, width = mask.shape
        amount = mask.sum(axis=0)
        reach = np.where(amount, height - mask.argmax(axis=0) - mask[::-1].argmax(axis=0), 0)
        margin = max(1, int(NARROWEST * height))
        cuts: set[int] = set()
        for depth in (amount, reach):
            smooth = blur(depth[None].astype(np.float32), width // 30 | 1)
            lows = np.flatnonzero(smooth[0] == spread(smooth, 1, 2 * margin + 1, np.minimum)[0])
            lows = lows[(lows >= margin) & (lows < width - margin)]
            cuts.update(int(x) for x in lows[np.argsort(smooth[0, lows], kind="stable")][:MOST_CUTS])
        return [piece.box.left + x for x in sorted(cuts)]

    def between(self, piece: Piece, left: int, right: int) -> Piece | None:
        """Return what a piece has from one column to before another; None if there is no ink."""
        box = Box(piece.box.top, left, piece.box.bottom, right)
        mask = np.isin(self.labels[box.slices], piece.labels)
        lines, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not lines.size:
            return None
        top, left = box.top + int(lines[0]), box.left + int(columns[0])
        return Piece(Box(top, left, box.top + int(lines[-1]) + 1, box.left + int(columns[-1]) + 1), piece.labels)


def find(brightness: Grey) -> Page:
    """Find the ink of a picture.

    Args:
        brightness: float32 [height, width], 0 to 255, dark ink on light or light on dark.
    """
    ink = find_ink(brightness)
    if ink is None:
        nothing = np.zeros(brightness.shape, dtype=np.int32)
        return Page(brightness, nothing.astype(np.float32), 1.0, nothing.astype(bool), nothing, [])
    level = threshold(ink)
    marked = marks(ink, level)
    labels, kept = pieces(without_rules(marked))
    return Page(brightness, ink, level, marked, labels, kept)


def normalize(brightness: Grey) -> Grey | None:
    """Bring a picture of one digit to MNIST's form, float32 [28, 28] in [0, 1]; None where there is no ink."""
    page = find(brightness)
    return page.image(page.whole) if page.pieces else None
