"""Find the digits of any picture: what the page network says of its pixels, grouped to digits.

The network sees the picture at several sizes, since it knows digits of about 45 pixels. At each size, ink votes for the
middle of its digit; what votes for one place is one digit, whether its strokes touch another's or are broken.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.handwriting.boxes import Box
from digits.handwriting.grouping import MULTIPLE, USUAL_SIZE, grouped
from digits.handwriting.morphology import Grey, Mask, blur, connected, spread
from digits.handwriting.normalize import form

SIDES = (64, 128, 256, 512, 1024, 1536)
"""Pixels of the picture's longer side, that the network sees it at: a digit has half to twice 45 in one of them."""

MOST_ENLARGED = 2.0
"""Times that a picture is enlarged."""

OVERVIEW = 128
"""Pixels up to which it is always looked at, if it has as many; further, where digits may be small yet."""

SURE = 0.6
"""The mean probability of its ink from which on a digit is sure to be one."""

MISFIT = 1.5
"""Octaves from the usual size that a digit is at most at the best size of the picture."""

FOUND = 0.5
"""The share of a digit, as its ink says how large it is, that must be found; the rest hangs together with it."""

FAINT = 0.05
"""The probability of ink up to which there is none, even where one digit is known to be there."""

REACH = 0.6
"""Times a digit's size that its ink reaches from its middle."""

WRITTEN = 0.3
"""The probability of writing from which on a pixel is ink."""

TRACE = 0.02
"""The same for what hangs together with a digit's ink, which is the digit's: a stroke may fade."""

PALEST = 0.1
"""Times as dark as a digit's ink that what hangs together with it is at least: round blurred strokes is no ink."""

FADED, STROKE = 0.3, 0.1
"""Times as dark as a digit's ink that a stroke is and yet counts in full, and times its size that strokes are wide."""

OF_DIGITS = 0.25
"""The share of the writing on a picture that its digits are at least, or it shows something else."""

PageNetwork = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""From pictures [1, 1, height, width] in [0, 1] to the probabilities of ink and votes, as models/pagenet.py says."""


@dataclass(frozen=True)
class Seen:
    """A picture at one size, and what the network says of it."""

    brightness: Grey
    """0 to 255."""
    ink: Grey
    """The probability of being a digit's ink."""
    writing: Grey
    """The probability of being ink of any writing."""
    numbers: NDArray[np.int32]
    """The digit that each pixel is ink of, from 1 on; 0 for none."""
    shape: tuple[int, ...]
    """Height and width of the picture as it was before."""
    in_mnist_form: bool = False
    """Whether the digit network takes the ink as it is."""
    stretch: float = 1.0
    """Times as wide as the picture is, for its height."""

    @property
    def scale(self) -> float:
        """Pixels of the picture that one of these stands for."""
        return float(max(self.shape) / max(self.ink.shape))

    @cached_property
    def shows_digits(self) -> bool:
        """Whether so much of the writing is digits that they are what is to be read."""
        digits: Mask = self.numbers > 0
        return bool(digits.sum() > OF_DIGITS * (digits | (self.writing > WRITTEN)).sum())


@dataclass(frozen=True)
class Found:
    """A digit in a picture."""

    seen: Seen
    number: int
    inner: Box
    """Where what the network found of it is in `seen`."""
    middle: tuple[float, float]
    """Where its ink says that its middle is in `seen`, x and y."""
    size: float
    """Pixels of the longer side in `seen`, as its ink says it."""
    sureness: float
    """The mean probability of its ink."""

    @cached_property
    def found_box(self) -> Box:
        """Where what the network found of it is in the picture."""
        return self._in_picture(self.inner)

    @cached_property
    def box(self) -> Box:
        """Where all of its ink is in the picture."""
        return self._in_picture(self._cut_out[1])

    def _in_picture(self, part: Box) -> Box:
        """Return where a part of `seen` is in the picture: the whole pixels that it touches, at least one."""
        (height, width), (rows, columns) = self.seen.shape, self.seen.ink.shape
        return Box(
            part.top * height // rows,
            part.left * width // columns,
            -(-part.bottom * height // rows),  # rounded up
            -(-part.right * width // columns),
        )

    @property
    def extent(self) -> float:
        """Pixels of the picture of its longer side, as its ink says it."""
        return self.size * self.seen.scale

    @property
    def is_whole(self) -> bool:
        """Whether enough of it was found to be read."""
        return max(self.inner.height, self.inner.width) > FOUND * self.size

    @property
    def misfit(self) -> float:
        """How far its size is from the usual one, in octaves."""
        return abs(float(np.log2(self.size / USUAL_SIZE)))

    @property
    def cropped(self) -> Grey:
        """How much ink each of its pixels has, in [0, 1], by the contrast to the paper round it, cut out.

        With the ink that the network takes for this digit's comes what of the writing hangs together with it, where its
        digit can be.
        """
        return self._cut_out[0]

    @cached_property
    def _cut_out(self) -> tuple[Grey, Box]:
        """Its ink, as `cropped` says, and where that is in `seen`."""
        if self.seen.in_mnist_form:
            return self.seen.ink[self.inner.slices], self.inner
        rows, columns = self._around()
        numbers, values = self.seen.numbers[rows, columns], self.seen.brightness[rows, columns]
        writing = self.seen.writing[rows, columns]
        mine: Mask = numbers == self.number
        bare = ~spread(writing > WRITTEN, 3)
        depth = values - _paper(values, bare, round(self.size / 2) | 1)
        if np.median(depth[mine]) < 0:
            depth = -depth
        full = max(float(np.percentile(depth[mine], 80)), 1.0)
        possible = ~spread((numbers > 0) & ~mine, 3) | mine
        traced = (writing > TRACE) & (depth > PALEST * full)
        own = connected(mine, traced & possible | mine, round(self.size))
        darkest = spread(np.where(own, depth, 0), max(3, round(STROKE * self.size) | 1))  # of the stroke
        share = np.clip(depth / np.clip(darkest, FADED * full, full), 0, 1)
        ink = np.where(spread(own, 3) & possible, share, 0).astype(np.float32)
        if ink.max() <= FAINT:  # hardly any contrast: it is where the network says
            ink = mine.astype(np.float32)
        part = Box.around(ink > FAINT)
        top, left = rows.start, columns.start
        cropped = ink[part.slices]
        if self.seen.stretch > 1:
            size = (max(1, round(cropped.shape[1] / self.seen.stretch)), len(cropped))
            cropped = np.asarray(Image.fromarray(cropped).resize(size, Image.Resampling.BOX))
        return cropped, Box(top + part.top, left + part.left, top + part.bottom, left + part.right)

    def _around(self) -> tuple[slice, slice]:
        """Return where its ink can be: round its middle as far as its size says, and round what was seen of it."""
        reach = REACH * self.size
        middle_x, middle_y = self.middle
        top, left = min(self.inner.top - 2, middle_y - reach), min(self.inner.left - 2, middle_x - reach)
        bottom, right = max(self.inner.bottom + 2, middle_y + reach), max(self.inner.right + 2, middle_x + reach)
        return slice(max(0, round(top)), round(bottom)), slice(max(0, round(left)), round(right))

    @cached_property
    def image(self) -> Grey:
        """In MNIST's form, float32 [28, 28] in [0, 1], bright ink on black."""
        return self.seen.ink if self.seen.in_mnist_form else form(self.cropped)


def find_digits(brightness: Grey, network: PageNetwork, largest: int = SIDES[-1]) -> tuple[list[Seen], list[Found]]:
    """Return what the network says of a picture, float32 [height, width], 0 to 255, and its digits in no order.

    It sees the picture with `largest` pixels on its longer side at most; where it saw it best comes first.
    """
    longer = max(brightness.shape)
    sides = [side for side in SIDES if side <= min(longer * MOST_ENLARGED, largest)] or [SIDES[0]]
    looks: list[tuple[Seen, list[Found]]] = []
    for side in sides:
        if looks and side > min(OVERVIEW, longer):
            sizes = [digit.size for digit in looks[-1][1] if digit.sureness > SURE]
            if sizes and np.percentile(sizes, 10) > USUAL_SIZE:  # further, they would only be larger
                break
        looks.append(look(brightness, side, network))
    looks.sort(key=lambda one: -_quality(one[1]))
    return [seen for seen, _ in looks], _merged([digits for _, digits in looks])


def _quality(digits: list[Found]) -> float:
    """Return how much there is of digits of the usual size; more in whole ones than in their parts."""
    return sum(digit.sureness**2 * 4**-digit.misfit * digit.extent for digit in digits)


def _merged(by_size: Sequence[list[Found]]) -> list[Found]:
    """Return the digits of the best size, the first of `by_size`, and those of others that are missing there."""
    best = [digit for digit in by_size[0] if digit.misfit < MISFIT]
    kept = sorted(best, key=lambda digit: digit.misfit)
    for digits in by_size[1:]:
        sure = sorted((digit for digit in digits if digit.sureness >= SURE), key=lambda digit: digit.misfit)
        kept += [digit for digit in sure if not any(digit.found_box.in_place_of(other.found_box) for other in kept)]
    return kept


def look(brightness: Grey, side: int, network: PageNetwork, stretch: float = 1.0) -> tuple[Seen, list[Found]]:
    """Find the digits of a picture that is brought to so many pixels on its longer side, and then made wider."""
    height, width = brightness.shape
    scale = max(height, width) / side
    size = (max(1, round(stretch * width / scale)), max(1, round(height / scale)))
    kind = Image.Resampling.BOX if scale > stretch else Image.Resampling.BICUBIC
    small = np.asarray(Image.fromarray(brightness).resize(size, kind)).clip(0, 255)
    rows, columns = small.shape
    padded = np.pad(small * np.float32(1 / 255), ((0, -rows % MULTIPLE), (0, -columns % MULTIPLE)), mode="edge")
    ink, votes = network(padded[None, None])
    of_digits, writing = ink[0, :, :rows, :columns]
    numbers, found = grouped(of_digits, votes[0])
    seen = Seen(small, of_digits, writing, numbers, brightness.shape, stretch=stretch)
    return seen, [digit for digit in (Found(seen, *group) for group in found) if digit.is_whole]


def _paper(values: Grey, bare: Mask, window: int) -> Grey:
    """Return how bright the paper is at each pixel: the mean of what is bare round it."""
    weight = blur(bare.astype(np.float32), window)
    level = float(np.median(values[bare])) if bare.any() else float(np.median(values))
    mean = np.where(weight > 0.02, blur(values * bare, window) / np.maximum(weight, 0.02), level)
    return np.asarray(mean, dtype=np.float32)


def grouped_as_one(seen: Seen) -> Found | None:
    """Return all writing as one digit; where hardly any is sure, what is likeliest. None if there is none."""
    most = seen.writing.max()
    if most <= FAINT:
        return None
    mask = seen.writing > min(WRITTEN, most / 2)
    box = Box.around(mask)
    alone = replace(seen, numbers=mask.astype(np.int32))
    middle = ((box.left + box.right) / 2, (box.top + box.bottom) / 2)
    return Found(alone, 1, box, middle, float(max(box.height, box.width)), float(seen.ink[mask].mean()))
