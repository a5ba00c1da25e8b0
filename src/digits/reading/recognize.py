"""Read the digits of pictures: one or several on each, touching ones parted, and non-digits told from digits."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from digits.handwriting.page import Page
from digits.handwriting.segment import Box, Piece
from digits.reading.reader import Reader

UNREADABLE = "?"
"""The answer where there is none; the reason says why."""

FEW = 3
"""Pieces of ink that may be one digit after all; more are several."""

SURE = 0.9
"""The confidence from which on one digit is not tried as several."""

WIDE, WIDE_ALONE = 0.75, 1.1
"""Of its height: what is narrower is not tried as several digits that touch, on a page of digits and alone."""


@dataclass(frozen=True)
class Digit:
    """What was read in one place of a picture."""

    piece: Piece
    image: NDArray[np.float32]
    """What the network saw, float32 [28, 28] in [0, 1]."""
    probabilities: NDArray[np.float32]
    """Of the digits 0 to 9."""
    rejected: bool
    """Whether it is a non-digit."""

    @property
    def box(self) -> Box:
        """Where it stands, in the pixels of the picture as it was reduced."""
        return self.piece.box

    @property
    def confidence(self) -> float:
        """The probability of the likeliest digit; also the score by which it is taken for one."""
        return float(self.probabilities.max())

    @property
    def answer(self) -> str:
        """The likeliest digit, or `?`."""
        return UNREADABLE if self.rejected else str(self.probabilities.argmax())


PICTURES_TOGETHER = 512
"""How many pictures go through the network together."""

PIXELS_TOGETHER = 8_000_000
"""How many of the pictures' pixels are in memory at once; each takes about 20 bytes."""

What = TypeVar("What")

Rows = list[list[Digit]]
"""From top to bottom, each from left to right."""


class Recognizer:
    """Reads the digits of pictures.

    Args:
        reader: the network.
        digits: `one` digit a picture, `many`, or `auto`: as many as there seem to be.
        reject: whether non-digits are answered with `?`.
    """

    def __init__(self, reader: Reader, digits: str, reject: bool) -> None:
        self.reader = reader
        self.digits = digits
        self.reject = reject
        self.threshold = reader.threshold if reject else 0.0

    def read(self, pages: list[Page]) -> list[Rows]:
        """Read the digits of each page, no rows where there is no ink; what is sure to be needed is read at once."""
        layouts = [self._layouts(page) for page in pages]
        wanted = [
            (page, piece)
            for page, layout in zip(pages, layouts, strict=True)
            for rows in layout
            for row in rows
            for piece in row
        ]
        digits = iter(self._look(wanted))
        predictions = []
        for page, layout in zip(pages, layouts, strict=True):
            looked = [[[next(digits) for _ in row] for row in rows] for rows in layout]
            best = max(looked, key=_mean_confidence, default=[])
            if self.digits != "one":
                alone = self.digits == "auto" and sum(map(len, best)) == 1
                best = [self._parted(page, row, alone) for row in best]
            predictions.append(best)
        return predictions

    def _layouts(self, page: Page) -> list[list[list[Piece]]]:
        """Return the ways in which a page may be laid out: as one digit, as several, or either."""
        if not page.pieces:
            return []
        if self.digits == "one":
            return [[[page.whole]]]
        rows = page.rows
        count = sum(len(row) for row in rows)
        if self.digits == "many" or count > FEW:
            return [rows]
        return [[[page.whole]]] if count == 1 else [[[page.whole]], rows]

    def _parted(self, page: Page, row: list[Digit], alone: bool) -> list[Digit]:
        """Part the digits of a row that touch.

        What stands alone may also be a letter. That is made of strokes, and a bare stroke looks like a 1; so there
        only parts count that are sure, and are not a 1.
        """
        parted = []
        for digit in row:
            parts = [digit]
            if digit.confidence < SURE and digit.box.width > (WIDE_ALONE if alone else WIDE) * digit.box.height:
                parts = self._parts(page, digit)
            doubtful = [part for part in parts if part.rejected or (alone and _like_a_stroke(part))]
            parted += [digit] if doubtful else parts
        return parted

    def _parts(self, page: Page, digit: Digit) -> list[Digit]:
        """Part a digit that may be several, where the network is surer of the parts than of the whole.

        All pieces between two cuts are read, and of all ways from left to right the one is taken whose confidences have
        the largest product (Matan, Burges, LeCun, Denker 1992, Multi-digit recognition using a space displacement
        neural network, compare such graphs).
        """
        ends = [digit.box.left, *page.cuts(digit.piece), digit.box.right]
        spans = [(i, j) for j in range(1, len(ends)) for i in range(j)]
        pieces = {span: page.between(digit.piece, ends[span[0]], ends[span[1]]) for span in spans}
        there = {span: piece for span, piece in pieces.items() if piece is not None}
        looked = dict(zip(there, self._look([(page, piece) for piece in there.values()]), strict=True))
        best: list[tuple[float, list[Digit]]] = [(1.0, [])]
        for j in range(1, len(ends)):
            ways = [
                (best[i][0] * looked[i, j].confidence, [*best[i][1], looked[i, j]])
                if (i, j) in looked
                else (best[i][0], best[i][1])
                for i in range(j)
            ]
            best.append(max(ways, key=lambda way: way[0]))
        return best[-1][1]

    def _look(self, wanted: list[tuple[Page, Piece]]) -> list[Digit]:
        if not wanted:
            return []
        images = np.stack([page.image(piece) for page, piece in wanted])
        probabilities = self.reader.probabilities(images)
        return [
            Digit(piece, image, row, bool(row.max() < self.threshold))
            for (_, piece), image, row in zip(wanted, images, probabilities, strict=True)
        ]


def read_pages(recognizer: Recognizer, pages: Iterable[tuple[What, Page]]) -> Iterator[tuple[What, Page, Rows]]:
    """Read pages, many small ones or a few large ones together; returns each back with what it is and its digits."""
    waiting: list[tuple[What, Page]] = []

    def together() -> Iterator[tuple[What, Page, Rows]]:
        predictions = recognizer.read([page for _, page in waiting])
        yield from ((what, page, rows) for (what, page), rows in zip(waiting, predictions, strict=True))
        waiting.clear()

    pixels = 0
    for what, page in pages:
        waiting.append((what, page))
        pixels += page.ink.size
        if len(waiting) == PICTURES_TOGETHER or pixels > PIXELS_TOGETHER:
            yield from together()
            pixels = 0
    yield from together()


def _like_a_stroke(digit: Digit) -> bool:
    return digit.confidence < SURE or digit.answer == "1"


def _mean_confidence(rows: Rows) -> float:
    return fmean(digit.confidence for row in rows for digit in row)
