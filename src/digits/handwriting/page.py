"""A picture and the digits on it: the way from a picture to 28x28, step by step."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import TypeVar

import numpy as np

from digits.handwriting.boxes import Box
from digits.handwriting.find import SIDES, Found, PageNetwork, Seen, find_digits, grouped_as_one
from digits.handwriting.morphology import Grey
from digits.handwriting.normalize import bright_on_black, in_mnist_form

Place = TypeVar("Place")

ROW = 0.4
"""The share of the lower one's height over which two digits must stand beside each other to be in one row."""

LEANS = np.array(sorted(np.linspace(-0.3, 0.3, 61), key=abs))
"""Pixels that rows may go down for each pixel to the right."""

CORE = 0.5
"""The share of a digit's height that counts in how high rows are."""

UNLIKELY = 2.0
"""How much more height counts for each pixel of leaning."""


@dataclass(frozen=True)
class Page:
    """A picture and its digits."""

    brightness: Grey
    """0 to 255."""
    seen: list[Seen]
    """What the page network says of it at each size, the best one first."""
    digits: list[Found]
    """In no order."""
    turns: int = 0
    """Quarter turns clockwise, by which it was turned to be read; its brightness is as it was before."""

    @property
    def whole(self) -> Found | None:
        """The only digit that was found, if it is what is written, or else all writing as one; None without writing."""
        if len(self.digits) == 1 and self.digits[0].seen.shows_digits:
            return self.digits[0]
        return next(filter(None, map(grouped_as_one, self.seen)), None)


def in_rows(places: Iterable[Place], box_of: Callable[[Place], Box]) -> list[list[Place]]:
    """Bring what stands on a page in the order of reading: rows from top to bottom, in each from left to right.

    Args:
        places: what stands there.
        box_of: returns the box of each.
    """
    level = _levelled([(box_of(place), place) for place in places])
    lines: list[list[tuple[Box, Place]]] = []
    for box, place in sorted(level, key=lambda one: one[0].top + one[0].bottom):
        for line in reversed(lines):
            # a row may bend, so the neighbour to compare with is the nearest one
            nearest = min((other for other, _ in line), key=lambda other: abs(other.left - box.left))
            beside = min(box.bottom, nearest.bottom) - max(box.top, nearest.top)
            if beside > ROW * min(box.height, nearest.height):
                line.append((box, place))
                break
        else:
            lines.append([(box, place)])
    rows: list[list[tuple[Box, Place]]] = []
    for line in lines:
        if rows and _side_by_side([box for box, _ in rows[-1]], [box for box, _ in line]):
            rows[-1] += line
        else:
            rows.append(line)
    return [[place for _, place in sorted(row, key=lambda one: one[0].left)] for row in rows]


def _levelled(places: list[tuple[Box, Place]]) -> list[tuple[Box, Place]]:
    """Move the boxes up or down so that rows which lean lie level.

    They lean as it takes the least height to hold them, when a projection profile is sharpest (Postl 1986); a digit's
    height more keeps few digits from being level by chance.
    """
    if not places:
        return []
    tops, lefts, bottoms, rights = np.array([(box.top, box.left, box.bottom, box.right) for box, _ in places]).T
    usual = np.median(bottoms - tops)
    core = CORE * usual
    moves = np.multiply.outer(LEANS, (lefts + rights) / 2)
    gaps = np.diff(np.sort((tops + bottoms) / 2 - moves, axis=1), axis=1)
    heights = usual + core + np.minimum(gaps, core).sum(axis=1)
    downs = np.rint(moves[np.argmin(heights * (1 + UNLIKELY * np.abs(LEANS)))]).astype(int).tolist()
    return [
        (Box(box.top - down, box.left, box.bottom - down, box.right), place)
        for (box, place), down in zip(places, downs, strict=True)
    ]


def _side_by_side(upper: list[Box], lower: list[Box]) -> bool:
    """Whether two rows are one that goes up or down.

    No digit stands over another one, and the two nearest are partly on one level and less than a digit's height apart.
    """

    def gap(pair: tuple[Box, Box]) -> int:
        return max(pair[0].left, pair[1].left) - min(pair[0].right, pair[1].right)

    one, other = nearest = min(product(upper, lower), key=gap)
    on_one_level = max(one.top, other.top) < min(one.bottom, other.bottom)
    return on_one_level and 0 <= gap(nearest) < median(box.height for box in (*upper, *lower))


def turned(brightness: Grey, turns: int) -> Grey:
    """Turn a picture by so many quarter turns clockwise."""
    return np.ascontiguousarray(np.rot90(brightness, -turns))


def find(brightness: Grey, network: PageNetwork, turns: int = 0, largest: int = SIDES[-1]) -> Page:
    """Find the digits of a picture.

    Args:
        brightness: float32 [height, width], 0 to 255, dark ink on light or light on dark.
        network: the page network.
        turns: quarter turns clockwise, by which the picture is turned before.
        largest: pixels of the longer side that the network sees it at, at most.
    """
    picture = turned(brightness, turns)
    images = bright_on_black(picture[None])
    if in_mnist_form(images).all():
        seen = _one_digit(images[0])
        return Page(brightness, [seen], [place for place in [grouped_as_one(seen)] if place], turns)
    return Page(brightness, *find_digits(picture, network, largest), turns)


def _one_digit(image: Grey) -> Seen:
    """Return what there is to be seen on an image in MNIST's form: it has been cut to the ink of one digit."""
    ink = image * np.float32(1 / 255)
    return Seen(image, ink, ink, (ink > 0).astype(np.int32), image.shape, in_mnist_form=True)
