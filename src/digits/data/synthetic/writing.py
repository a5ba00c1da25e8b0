"""Write rows of digits, and signs and words between them, on a sheet, in one hand and with one pen."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from digits.data.synthetic.forms import OTHERS
from digits.data.synthetic.glyphs import Digits, Hand, digit, drawn, stamp
from digits.data.synthetic.letters import AMBIGUOUS, LETTERS, LOW, OPERATORS, TALL
from digits.data.synthetic.paper import Grey
from digits.data.synthetic.strokes import sample

IGNORED = -1
"""The number of ink that may be taken for a digit or not; below it are the numbers of signs, which are none."""

MOST_ROWS = 30
"""On a sheet."""

ALL_SIZES, USUAL_SIZES = (13, 210), (28, 85)
"""Pixels that a digit is high, and what most are."""

FORMS = {"none": 0.6, "columns": 0.14, "boxes": 0.04, "comb": 0.08, "ticks": 0.03, "table": 0.07, "rings": 0.04}
"""What is round digits, and the share of pages with it: nothing, columns without lines, a box round each, boxes that
touch, a line with ticks, a table's cells, or rings round numbers."""

ONES = 0.08
"""The share of digits that are 1s beside a tenth, for a bare stroke is the hardest to tell from what is no digit."""

UNKNOWNS = ("x", "y", "z", "a", "n", "t", "k", "r", "m")
"""Letters that stand between numbers more often than others."""


def written(rng: Generator, side: int, margin: int, mnist: Digits) -> tuple[Grey, NDArray[np.int16]]:
    """Write on a sheet.

    Args:
        rng: what everything is drawn by.
        side: pixels of the part of the sheet that will be seen.
        margin: pixels of the sheet round it.
        mnist: what digits are taken from, beside drawn ones.

    Returns:
        The ink in [0, 1], and the number of the digit that each pixel is ink of, from 1 on, 0 for none, IGNORED for
        what looks like one, below it for each other sign; float32 and int16 [side + 2 * margin, side + 2 * margin].
    """
    sheet = _Sheet(rng, side, margin, mnist)
    sheet.write()
    return sheet.ink, sheet.numbers


class _Sheet:
    """A sheet that is written on: how somebody writes there, and what is there by now."""

    def __init__(self, rng: Generator, side: int, margin: int, mnist: Digits) -> None:
        self.rng, self.mnist = rng, mnist
        self.seen, self.margin, self.side = side, margin, side + 2 * margin
        self.ink = np.zeros((self.side, self.side), dtype=np.float32)
        self.numbers = np.zeros((self.side, self.side), dtype=np.int16)
        self.count, self.signs = 0, 0
        self.hand = Hand(
            slant=rng.normal(0.1, 0.18),
            width=np.exp(rng.normal(0, 0.15)),
            pen=np.exp(rng.uniform(np.log(0.025), np.log(0.2))),
            from_mnist=float(rng.choice([0, 0.5, 1])),
            print_like=rng.random() < 0.3,
        )
        smallest, largest = USUAL_SIZES if rng.random() < 0.6 else ALL_SIZES
        self.height = float(np.exp(rng.uniform(np.log(smallest), np.log(largest))))
        self.digits = rng.choice([1.0, 0.75, 0.5, 0.0], p=[0.6, 0.18, 0.1, 0.12])  # of the signs
        self.words = rng.random() < (0.5 if self.digits == 0 else 0.15)
        gaps = [rng.uniform(-0.15, 0.1), rng.uniform(0.05, 0.6), rng.uniform(0.5, 2.5)]  # touching, usual, wide
        self.gap = rng.choice(gaps, p=[0.2, 0.55, 0.25])
        self.pitch = rng.uniform(1.15, 2.6) * self.height
        self.untidy = rng.choice([0.03, 0.1, 0.5], p=[0.5, 0.4, 0.1])
        self.lean = rng.normal(0, 0.05)
        self.rows = int(rng.choice([1, 2, MOST_ROWS], p=[0.2, 0.2, 0.6]))
        if self.rows > 2:
            self.top = margin + rng.uniform(-0.4, 1) * self.height
        else:
            self.top = margin + rng.uniform(0.05, 0.75) * max(side - self.height, 1)
        self.pen = max(0.8, self.hand.pen * self.height)
        self.form = rng.choice(list(FORMS), p=list(FORMS.values()))
        self.line = int(rng.integers(60, 256)), max(1, round(self.pen * rng.uniform(0.2, 1)))  # tone and width
        self.in_comb = self.form in ("comb", "ticks")
        self.cell = self.height * rng.uniform(0.65, 1.4)  # of a comb
        self.column = self.height * rng.uniform(1.2, 5)  # of a table
        self.bare = float(rng.choice([0, 0.5]))  # of the numbers, that have no ring
        self.unringed: list[tuple[int, int, int, int]] = []  # the boxes of the number that is being written
        if self.form == "table":
            self._begin_table()

    def write(self) -> None:
        """Write rows until the sheet is full, or has as many as it is to have."""
        rng, height = self.rng, self.height
        for _ in range(self.rows):
            if self.top > self.side - 0.3 * height:
                break
            if self.form == "table":
                self._write_cells()
            else:
                self._write_row()
            if rng.random() < 0.07:
                start = self.top + height * rng.uniform(1.05, 1.3)
                length = rng.uniform(0.2, 1) * self.seen
                end = (self.margin + length, start + length * self.lean)
                self._add(np.array([(self.margin, start), end]))
            self.top += self.pitch * (1 if self.form == "table" else rng.uniform(0.9, 1.1))

    def _write_row(self) -> None:
        rng = self.rng
        start = rng.uniform(-0.5, 1.5) * self.height if self.rows > 2 else rng.uniform(-0.05, 0.5) * self.seen
        x = first = self.margin + start
        self.unringed = []
        in_word = False
        for _ in range(int(rng.choice([1, 2, 5, 60], p=[0.12, 0.13, 0.25, 0.5]))):
            if x > self.side:
                break
            if rng.random() < 0.25:
                in_word = self.words and not in_word
            x += self._write_sign(x, in_word)
            if not self.in_comb and rng.random() < 0.1:
                x += rng.uniform(0.3, 2) * self.height
        if self.in_comb:
            self._comb(first, x + self.cell * rng.integers(0, 4))

    def _write_cells(self) -> None:
        """Write a row of a table: a short number in most cells."""
        rng = self.rng
        for left in np.arange(self.first_column, self.side, self.column):
            x, end = left + self.height * rng.uniform(0, 0.4), left + self.column
            while rng.random() < 0.85 and x + 0.3 * self.height < end:
                x += self._write_sign(x, False)

    def _write_sign(self, x: float, in_word: bool) -> float:
        """Write a digit or another sign; return how far it is to the next one."""
        rng, height = self.rng, self.height
        is_digit = not in_word and rng.random() < self.digits
        size = height * np.exp(rng.normal(0, self.untidy * 0.5))
        label = 1 if rng.random() < ONES else int(rng.integers(10))
        name = str(label) if is_digit else self._sign(in_word)
        if is_digit:
            glyph = digit(label, size, self.hand, self.pen, rng, self.mnist)
            self.count += 1
        else:
            self.signs += 1
            if name not in TALL and name not in OTHERS:
                size *= rng.uniform(0.45, 0.75) * (rng.uniform(1, 2.5) if name == "comma" else 1)
            curves = sample((LETTERS if name in LETTERS else OTHERS)[name], rng)
            glyph = drawn(curves, size, self.hand, self.pen * rng.uniform(0.8, 1.2))
        y = self.top + (x - self.side / 2) * self.lean + rng.normal(0, self.untidy) * height
        y += height - glyph.shape[0] if name in LOW or in_word else (height - glyph.shape[0]) / 2
        ignored = name in AMBIGUOUS and not (in_word and self.digits == 0)
        number = self.count if is_digit else IGNORED if ignored else IGNORED - self.signs
        if self.in_comb:
            x += (self.cell - glyph.shape[1]) * rng.normal(0.5, 0.12)
        box = stamp(self.ink, self.numbers, glyph, int(x), int(y), number)
        if is_digit and rng.random() < 0.01:
            self._cross_out(box)
        if self.form == "boxes":
            rim = height * 0.2
            self._frame((box[0] - rim, box[1] - rim, box[2] + rim, box[3] + rim))
        if self.form == "rings":
            self.unringed.append(box)
            if rng.random() < 0.6:
                return self._ring() - x
        if self.in_comb:
            return self.cell
        gap = rng.uniform(-0.05, 0.15) if in_word else self.gap
        step = glyph.shape[1] + gap * height * np.exp(rng.normal(0, 0.3))
        return float(max(step, height * 1.6) if self.form == "columns" else step)

    def _ring(self) -> float:
        """Draw a ring round the number that was written, if it is to have one; return where the next one begins."""
        rng, height = self.rng, self.height
        boxes = np.array(self.unringed, dtype=np.float64)
        self.unringed = []
        low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        end = float(high[0] + max(self.gap, 0.1) * height)
        if rng.random() < self.bare:
            return end
        middle = (low + high) / 2
        radii = (high - low) / 2 * rng.uniform(1.05, 1.25) + height * rng.uniform(0.05, 0.4, 2)
        radii = np.maximum(radii, 0.5 * height)
        turns = rng.uniform(0, 2 * np.pi) + np.linspace(0, 2 * np.pi + rng.normal(0.2, 0.25), 60)
        unround = rng.normal(0, 0.03) * np.sin(2 * turns + 1) + rng.normal(0, 0.02) * np.cos(3 * turns)
        radius = (1 + unround + np.linspace(0, rng.normal(0, 0.06), 60))[:, None] * radii
        self._add(middle + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1), rng.uniform(0.7, 1.1))
        return max(end, float(middle[0] + radii[0] + height * rng.uniform(0.3, 1)))

    def _sign(self, in_word: bool) -> str:
        """Choose a letter of a word, or what stands between numbers."""
        letters = list(LETTERS)
        if in_word:
            return letters[self.rng.integers(26)]
        kind = self.rng.random()
        if kind < 0.5:
            return OPERATORS[self.rng.integers(len(OPERATORS))]
        return str(self.rng.choice([*UNKNOWNS, *letters[26:38]] if kind < 0.75 else list(OTHERS)))

    def _cross_out(self, box: tuple[int, int, int, int]) -> None:
        """Scribble over the last digit, which is none any more."""
        points = self.rng.uniform(box[:2], box[2:], (self.rng.integers(4, 20), 2))
        self._add(points)
        self.numbers[self.numbers == self.count] = 0

    def _add(self, points: NDArray[np.float64], wider: float = 1) -> None:
        """Draw a line that is no digit's, so many times as wide as the pen."""
        line = [tuple(point) for point in points]
        width = max(1, round(self.pen * wider))
        self._lay(lambda pen: pen.line(line, fill=255, width=width, joint="curve"))

    def _frame(self, frame: tuple[float, float, float, float]) -> None:
        """Draw the box of a form."""
        tone, width = self.line
        self._lay(lambda pen: pen.rectangle(frame, outline=tone, width=width))

    def _comb(self, left: float, right: float) -> None:
        """Draw the touching boxes of a form round a row, or a line with ticks under it."""
        rim = self.rng.uniform(-0.12, 0.3) * self.height
        up = 0.3 * self.height if self.form == "ticks" else self.height + 2 * rim
        bottom = self.top + self.height + rim
        feet = [(x, bottom + (x - self.side / 2) * self.lean) for x in np.arange(left, right + 1, self.cell)]
        heads = [(x, y - up) for x, y in feet]
        self._rule([[feet[0], feet[-1]], *zip(feet, heads, strict=True)])
        if self.form == "comb":
            self._rule([[heads[0], heads[-1]]])

    def _begin_table(self) -> None:
        """Draw the lines of a table over the whole sheet, to write in it."""
        self.rows, self.lean = MOST_ROWS, 0.0
        self.first_column = float(self.rng.uniform(0, self.column))
        self.pitch = max(self.pitch, 1.2 * self.height)
        first = self.top - self.rng.uniform(0.1, 0.9) * (self.pitch - self.height)
        rows = [[(0, y), (self.side, y)] for y in np.arange(first, self.side, self.pitch)]
        columns = np.arange(self.first_column, self.side, self.column)
        self._rule([*rows, *([(x, max(first, 0)), (x, self.side)] for x in columns)])

    def _rule(self, lines: Iterable[Sequence[tuple[float, float]]]) -> None:
        """Draw lines of a form."""
        tone, width = self.line

        def draw(pen: ImageDraw.ImageDraw) -> None:
            for line in lines:
                pen.line(line, fill=tone, width=width)

        self._lay(draw)

    def _lay(self, draw: Callable[[ImageDraw.ImageDraw], None]) -> None:
        """Draw over the ink; nothing gets lighter by it."""
        sheet = Image.fromarray((self.ink * 255).astype(np.uint8))
        draw(ImageDraw.Draw(sheet))
        np.maximum(self.ink, np.asarray(sheet, dtype=np.float32) / 255, out=self.ink)
