"""Read the digits that were found on pictures, and tell non-digits from digits."""

from dataclasses import dataclass, replace
from itertools import chain, compress
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from digits.handwriting.boxes import Box
from digits.handwriting.find import OVERVIEW, SIDES, WRITTEN, Found, look
from digits.handwriting.page import Page, find, in_rows, turned
from digits.reading.reader import PageReader, Reader
from digits.reading.signs import find_signs

UNREADABLE = "?"
"""The answer where there is none; the reason says why."""


@dataclass(frozen=True, eq=False)
class Digit:
    """What was read in one place of a picture."""

    place: Found
    """In the picture as it was turned."""
    box: Box
    """Where it stands, in the pixels of the picture as it was reduced."""
    image: NDArray[np.float32]
    """What the network saw, float32 [28, 28] in [0, 1]."""
    probabilities: NDArray[np.float32]
    """Of the digits 0 to 9."""
    rejected: bool
    """Whether it is a non-digit."""

    @property
    def confidence(self) -> float:
        """The probability of the likeliest digit; also the score by which it is taken for one."""
        return float(self.probabilities.max())

    @property
    def answer(self) -> str:
        """The likeliest digit, or `?`."""
        return UNREADABLE if self.rejected else str(self.probabilities.argmax())


SENSIBLE = 0.86
"""How sure both networks are of what is found on a page that lies upright, on the mean, rejected ones as 0; and of each
digit that is not looked at again."""

ENOUGH = 2.1
"""How sure both networks must be of all digits of a page together for it to be turned, as of three that are hardly so;
they must be surer than as it lies too, and on the mean when both were seen again, or 200 would be read as 002."""

WORTH_TURNING = 0.3, 1.0, 0.3
"""How sure both networks must be of its digits, each turned by itself, for a page to be looked at turned by one, two or
three quarters, which takes long: times what they are as it lies. Upside down, its digits are found where they are."""

ONE = 0.7
"""How sure both networks must be of all writing as one digit, for two that were found to be parts of it."""

DOUBTFUL, SIGN = 0.65, 0.4
"""How sure both networks must be of several digits on a picture, on the mean over their sizes, or it shows something
else; and how much what is rejected counts in it, which may be a sign between digits."""

SPECK = 0.37
"""How sure the two networks are at most, on the mean, of what is rejected and left out of the answer beside digits;
where two digits touch, the page network alone is surer."""

FEW, MANY = 3, 400
"""Digits that say something of how a page lies; more than the other are a texture, whose reading would take long."""

GLANCE, LITTLE = 256, 50
"""Pixels of the longer side of a picture with fewer digits, at which it must show more pixels of writing than that, as
three digits of 12 pixels have, to be looked at turned."""

AGAIN = ((2**-0.25, 1.0), (2**0.25, 1.0), (1.1, 1.3))
"""Times the size at which a page was seen best, and times as wide, at which it is seen again: half way to the sizes
beside it, and with more room between digits that touch."""

LARGE = 512
"""Pixels of the longer side, at which it was seen best, beyond which a page is not seen again: that would take long."""

Rows = list[list[Digit]]
"""From top to bottom, each from left to right."""


class Recognizer:
    """Reads the digits of pictures.

    Args:
        reader: the network that says which digit it is.
        page_network: the page network.
        digits: `one` digit a picture, or `auto`: as many as there seem to be.
        reject: whether non-digits are answered with `?`.
        rotate: by how many degrees clockwise a picture is turned before; `auto`: as it lies, or as its digits say
            clearly.
    """

    def __init__(
        self, reader: Reader, page_network: PageReader, digits: str = "auto", reject: bool = True, rotate: str = "auto"
    ) -> None:
        self.reader = reader
        self.page_network = page_network
        self.digits = digits
        self.reject = reject
        self.rotate = rotate
        self.threshold = reader.threshold if reject else 0.0

    @property
    def turns(self) -> int:
        """Quarter turns clockwise, by which every picture is turned."""
        return 0 if self.rotate == "auto" else int(self.rotate) // 90

    def find(self, brightness: NDArray[np.float32]) -> Page:
        """Find the digits of a picture, float32 [height, width], 0 to 255."""
        return find(brightness, self.page_network, self.turns)

    def read(self, page: Page) -> Rows:
        """Read the digits of a page; no rows where there is no ink."""
        digits = before = self._look(page, self._places(page))
        if self.digits == "auto":
            ways = self._turned(page, self._joined(page, digits))
            again = ((read, self._seen_again(where, read)) for where, read in ways)
            before, digits = max(again, key=lambda read: _mean_sense(read[1]))
        # of what made no sense as several digits a single one is left by chance
        if self._is_doubtful(before) and (len(digits) == 1 or self._is_doubtful(digits)):
            digits = [replace(digit, rejected=True) for digit in digits]
        rows = in_rows(without_specks(digits), lambda digit: digit.place.box)
        return [_without_signs(row) for row in rows] if self.reject else rows

    def _places(self, page: Page) -> list[Found]:
        if self.digits == "auto" and len(page.digits) > 1:
            return page.digits
        whole = page.whole
        return [] if whole is None else [whole]

    def _is_doubtful(self, digits: list[Digit]) -> bool:
        """Whether hardly anything of several is a digit."""
        if not self.reject or len(digits) < 2:
            return False
        weights = [(SIGN if digit.rejected else 1.0) * digit.place.extent for digit in digits]
        sureness = fmean([digit.confidence * digit.place.sureness for digit in digits], weights)
        return sureness < DOUBTFUL or not any(digit.place.seen.shows_digits for digit in digits)

    def _joined(self, page: Page, digits: list[Digit]) -> list[Digit]:
        """Return the one digit that two are parts of; both, where all writing together makes no sense as one."""
        whole = page.whole if len(digits) == 2 and self.reader.knows_non_digits else None
        one = self._look(page, [whole] if whole else [])
        return one if sum(_sense(one)) > ONE else digits

    def _turned(self, page: Page, digits: list[Digit]) -> list[tuple[Page, list[Digit]]]:
        """Return a page and its digits as it lies and, if it makes little sense so, as it makes most when turned.

        A page with few digits is looked at turned where it shows writing at all; one with more, which were seen best
        at some size, where these do not make far less sense, each turned by itself, and no larger.
        """
        ways = [(page, digits)]
        few, lying = len(digits) < FEW, sum(_sense(digits))
        stays = self.rotate != "auto" or len(digits) > MANY or _mean_sense(digits) > SENSIBLE
        if stays or (few and not _is_written(page)):
            return ways
        places = [digit.place for digit in digits]
        largest = SIDES[-1] if few else max(page.seen[0].ink.shape)
        most = max(ENOUGH, lying)
        for turns, worth in enumerate(WORTH_TURNING, 1):
            if not few and sum(_sense(self._look(page, places, turns))) < worth * lying:
                continue
            other = find(page.brightness, self.page_network, turns, largest)
            read = self._look(other, other.digits)
            sense = sum(_sense(read))
            if sense > most:
                ways, most = [(page, digits), (other, read)], sense
        return ways

    def _seen_again(self, page: Page, digits: list[Digit]) -> list[Digit]:
        """Return the digits of a page with an unsure one as they are surest, seen smaller, larger and wider too."""
        best = page.seen[0]
        side = max(best.ink.shape)
        if not any(_sense(digits)) or side > LARGE or best.in_mnist_form:
            return digits
        picture = turned(page.brightness, page.turns)
        for times, stretch in AGAIN:
            if min(_sense(digits)) > SENSIBLE:
                break
            _, places = look(picture, round(times * side), self.page_network, stretch)
            digits = surest(digits, self._look(page, places), parting=stretch > 1)
        return digits

    def _look(self, page: Page, places: list[Found], turns: int = 0) -> list[Digit]:
        """Read what stands in each place, turned by itself by so many quarter turns clockwise."""
        if not places:
            return []
        images = np.stack([np.rot90(place.image, -turns) for place in places])
        probabilities = self.reader.probabilities(images)
        return [
            Digit(
                place,
                place.box.turned_back(page.turns, *page.brightness.shape),
                image,
                row,
                bool(row.max() < self.threshold),
            )
            for place, image, row in zip(places, images, probabilities, strict=True)
        ]


def _sense(digits: list[Digit]) -> list[float]:
    """Return how sure both networks are of each digit, from 0 to 1, rejected ones as 0."""
    return [0.0 if digit.rejected else digit.confidence * digit.place.sureness for digit in digits]


def _mean_sense(digits: list[Digit]) -> float:
    """Return how sure both networks are of each digit on the mean, as `_sense` has it."""
    return sum(_sense(digits)) / max(1, len(digits))


def without_specks(digits: list[Digit]) -> list[Digit]:
    """Return the digits and what is rejected, but for specks; all where there are no digits."""
    if all(digit.rejected for digit in digits):
        return digits
    return [digit for digit in digits if not digit.rejected or digit.confidence + digit.place.sureness > 2 * SPECK]


def _without_signs(row: list[Digit]) -> list[Digit]:
    """Return a row with its signs rejected: slashes, brackets, commas and degree signs."""
    digits = [digit for digit in row if not digit.rejected]
    strokes = [digit.place.cropped if digit.answer == "1" else None for digit in digits]
    signs = list(compress(digits, find_signs([digit.place.box.height for digit in digits], strokes)))
    return [replace(digit, rejected=True) if digit in signs else digit for digit in row]


def surest(digits: list[Digit], others: list[Digit], parting: bool = False) -> list[Digit]:
    """Return the digits, with others in the places where both networks are surer of these.

    What is in the place of nothing but rejected ones must be a digit more probably than not: it may be a sign. Others
    for `parting` must be more than what is in their place, and each of them surer.
    """
    places: list[list[Digit]] = []
    for digit in digits + others:
        near = [place for place in places if any(digit.box.in_place_of(other.box) for other in place)]
        places = [place for place in places if place not in near] + [[digit, *chain(*near)]]
    kept: list[Digit] = []
    for place in places:
        before, after = ([digit for digit in place if digit in those] for those in (digits, others))
        sense = min(_sense(after), default=0.0) if parting else _mean_sense(after)
        surer = sense > (_mean_sense(before) or 0.5) and (len(after) > len(before) or not parting)
        kept += after if before and surer else before
    return kept


def _is_written(page: Page) -> bool:
    """Whether a picture is a page that is written on, and not a small one of a digit, or a photograph of a thing."""
    glances = [seen.writing for seen in page.seen if max(seen.writing.shape) <= GLANCE]
    return max(page.brightness.shape) > OVERVIEW and bool((max(glances, key=np.size) > WRITTEN).sum() > LITTLE)
