"""From ink to digits: which strokes belong together, what is dirt or a neighbour's rest, and the order of reading."""

from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from digits.handwriting.morphology import Mask, label

SPECK = 0.12
"""The height and width, as a share of the tallest piece's, under which a piece is a speck of dirt."""

BESIDE = 0.5
"""The share of the narrower one's width over which two pieces must stand above each other to be of one digit."""

PART = 0.62
"""The share of a digit's height under which a piece may be a part of one: a bar, a stem, half of a broken 8."""

WHOLE = 0.45
"""The width, as a share of its height, from which on a piece at the picture's edge is a digit and no slice of one."""

FLAT = 4
"""Times its height that a piece is wide if it is a line and no digit."""

UNDERLINED = 0.6
"""The share of a line's length that the heights of what it underlines come to at least, taken together."""

INNER = 0.35
"""The share of its height from which on what a ring or a box has in it is more than the dot in a zero."""

LEAST_SHARE = 0.05
"""Of the picture's longer side: less is no digit to compare other pieces' strokes with."""

MASS = 4
"""Times a stroke's thickness from which on a piece is no stroke: no digit has so much more ink than another."""

ROW = 0.4
"""The share of the lower one's height over which two digits must stand beside each other to be in one row."""

MOST_PIECES = 400
"""More is a texture or a page of text, and no few digits."""


@dataclass(frozen=True)
class Box:
    """A part of a picture: its pixels from top to below bottom and from left to before right."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Pixels."""
        return self.right - self.left

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    @property
    def slices(self) -> tuple[slice, slice]:
        """What cuts it out of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def __or__(self, other: "Box") -> "Box":
        """Return the smallest box round both."""
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )


@dataclass(frozen=True)
class Piece:
    """Ink that hangs together, or several such pieces that are one digit."""

    box: Box
    labels: tuple[int, ...]
    """The numbers that its ink has in the labelled picture."""

    def __or__(self, other: "Piece") -> "Piece":
        """Put two together."""
        return Piece(self.box | other.box, self.labels + other.labels)


def pieces(mask: Mask) -> tuple[NDArray[np.int32], list[Piece]]:
    """Find the ink that hangs together, without specks and without what only reaches in from outside.

    Returns:
        The labelled picture, int32 [height, width], 0 for paper, and the pieces, the tallest first.
    """
    labels, places = label(mask)
    kept = [
        Piece(Box(rows.start, columns.start, rows.stop, columns.stop), (number,))
        for number, (rows, columns) in enumerate(places, 1)
    ]
    kept = sorted(kept, key=lambda piece: -_size(piece))[: MOST_PIECES + 1]  # of a texture, which has thousands
    inside = [piece for piece in kept if not _reaches_in(piece.box, mask.shape)]
    areas = np.bincount(labels.ravel())
    pens = [_thickness(piece, areas) for piece in inside if _size(piece) > LEAST_SHARE * max(mask.shape)]
    if pens:  # what reaches in far thicker than any stroke is the desk, a shadow or a thumb
        thickest = MASS * max(pens)
        kept = [
            piece for piece in kept if not _reaches_in(piece.box, mask.shape) or _thickness(piece, areas) < thickest
        ]
    if inside and _size(inside[0]) > 0.5 * _size(kept[0]):
        main = inside[0].box
        # what touches the picture's edge stays where it stands above, below or within a digit, or is one itself
        kept = [
            piece
            for piece in kept
            if not _reaches_in(piece.box, mask.shape)
            or _overlap(piece.box, main) > BESIDE
            or (piece.box.height > PART * main.height and piece.box.width > WHOLE * piece.box.height)
        ]
    kept = [piece for piece in kept if not any(_surrounds(labels, piece, other.box) for other in kept)]
    if not kept:
        return labels, []
    tallest = _size(kept[0])
    count = sum(_size(piece) >= max(SPECK * tallest, 2) for piece in kept) or 1
    large, small = kept[:count], kept[count:]
    # a small piece beside a large one is a bit of a broken stroke and no speck
    return labels, large + [piece for piece in small if _beside_any(piece, large, SPECK * tallest)]


def _beside_any(piece: Piece, others: list[Piece], distance: float) -> bool:
    return any(_gap(piece.box, other.box) < distance for other in others)


def _size(piece: Piece) -> int:
    return max(piece.box.height, piece.box.width)


def _thickness(piece: Piece, areas: NDArray[np.intp]) -> float:
    """Return the width that a piece's strokes would have if they went once along its box and once across."""
    return float(areas[list(piece.labels)].sum()) / (piece.box.width + piece.box.height)


def _surrounds(labels: NDArray[np.int32], piece: Piece, inner: Box) -> bool:
    """Whether a piece is drawn round another, with ink on all four sides of it: the cell of a form, or a circle."""
    box = piece.box
    if (box | inner) != box or inner == box or inner.height <= INNER * box.height:
        return False
    across, down = (inner.left + inner.right) // 2, (inner.top + inner.bottom) // 2
    row, column = labels[down, box.left : box.right], labels[box.top : box.bottom, across]
    sides = (row[: inner.left - box.left], row[inner.right - box.left :])
    ends = (column[: inner.top - box.top], column[inner.bottom - box.top :])
    return all((side == piece.labels[0]).any() for side in sides + ends)


def _reaches_in(box: Box, shape: tuple[int, ...]) -> bool:
    return box.top == 0 or box.left == 0 or box.bottom == shape[0] or box.right == shape[1]


def _overlap(first: Box, other: Box) -> float:
    """Return over what share of the narrower one's width two boxes stand above each other; negative: how far apart."""
    return (min(first.right, other.right) - max(first.left, other.left)) / min(first.width, other.width)


def group(pieces_there: list[Piece]) -> list[Piece]:
    """Put the pieces together that are one digit: small ones go to the digit that they stand above, below or within."""
    flat = [piece for piece in pieces_there if piece.box.width > FLAT * piece.box.height]
    others = [piece for piece in pieces_there if piece not in flat]
    if flat and others:
        if sum(piece.box.height for piece in others) < UNDERLINED * max(piece.box.width for piece in flat):
            return [
                reduce(or_, pieces_there)
            ]  # a sign, such as a divided by: a line far too long to underline the rest
        pieces_there = others
    if not pieces_there:
        return []
    height = _usual_height(pieces_there)
    digits = [piece for piece in pieces_there if piece.box.height >= PART * height]
    for part in sorted((piece for piece in pieces_there if piece not in digits), key=lambda piece: -_size(piece)):
        near = [
            (_gap(part.box, digit.box), place)
            for place, digit in enumerate(digits)
            if _overlap(part.box, digit.box) >= BESIDE or _gap(part.box, digit.box) < 0.1 * height
        ]
        distance, place = min(near, default=(height, 0))
        if distance < 0.4 * height:
            digits[place] |= part
        elif _size(part) >= 0.3 * height:
            digits.append(part)
    return _within_each_other(digits)


def _within_each_other(digits: list[Piece]) -> list[Piece]:
    """Put together what lies in the same place: a ring and its stem, the strokes of a crossed 7 or an open 4."""
    merged: list[Piece] = []
    for digit in sorted(digits, key=lambda piece: piece.box.left):
        for place, other in enumerate(merged):
            beside = min(digit.box.bottom, other.box.bottom) - max(digit.box.top, other.box.top)
            lower = min(digit.box.height, other.box.height)
            if _overlap(digit.box, other.box) >= BESIDE and beside > 0.3 * lower:
                merged[place] = other | digit
                break
        else:
            merged.append(digit)
    return merged


def _usual_height(pieces_there: list[Piece]) -> float:
    """Return the height of a digit: the middle one of those that have at least half the tallest one's height."""
    heights = [piece.box.height for piece in pieces_there]
    return float(np.median([height for height in heights if height >= max(heights) / 2]))


def _gap(first: Box, other: Box) -> float:
    """Return the pixels of paper between two boxes."""
    across = max(first.left, other.left) - min(first.right, other.right)
    down = max(first.top, other.top) - min(first.bottom, other.bottom)
    return float(np.hypot(max(across, 0), max(down, 0)))


def rows(digits: list[Piece]) -> list[list[Piece]]:
    """Put digits in the order of reading: rows from top to bottom, in each from left to right."""
    lines: list[list[Piece]] = []
    for digit in sorted(digits, key=lambda piece: piece.box.top + piece.box.bottom):
        for line in reversed(lines):
            # a row may lean, so the neighbour to compare with is the nearest one
            nearest = min(line, key=lambda other: abs(other.box.left - digit.box.left)).box
            beside = min(digit.box.bottom, nearest.bottom) - max(digit.box.top, nearest.top)
            if beside > ROW * min(digit.box.height, nearest.height):
                line.append(digit)
                break
        else:
            lines.append([digit])
    return [sorted(line, key=lambda piece: piece.box.left) for line in lines]
