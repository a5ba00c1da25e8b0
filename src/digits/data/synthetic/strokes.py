"""Draw digits and non-digits as people do with a pen: forms that MNIST hardly holds, endlessly varied.

Each picture takes a form of forms.py, varies its points, slant, proportions, tremor and pen, is drawn with ink on
paper, and comes to 28x28 through handwriting/, exactly as a person's picture would.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy.interpolate import CubicSpline

from digits.data.synthetic.forms import DIGITS, OTHERS
from digits.data.synthetic.letters import LETTERS
from digits.handwriting.boxes import Box
from digits.handwriting.normalize import form

Points = NDArray[np.float64]
"""[n, 2]: x to the right and y down, in a box that is one high."""

NON_DIGIT = 10
"""The label of a non-digit: the class behind the ten digits."""

HEIGHT = 72
"""Pixels of the box on the paper: a stroke comes to 28x28 from three times its size, so with soft edges."""

STEPS = 8
"""Straight pieces between two points of a curve."""

STRETCHED = 0.2
"""The chance that a digit is stretched to a square, as people do who crop a picture and then resize it."""

FAINT = 0.15
"""The share of a stroke's ink under which a soft edge is paper."""

SAMPLES = 6
"""Of each form on the sheet of all."""

JITTER = 0.022
"""Standard deviation by which each point strays, in heights of the box."""

LIKE_NO_DIGIT = (*"adfhkmnprtuvwxyT", "sigma", "phi", "delta", "pi", "less", "greater", "dollar", "euro")
"""Letters and signs that nobody takes for a digit."""

NEGATIVES = {**OTHERS, **{name: LETTERS[name] for name in LIKE_NO_DIGIT}}
"""Letters and signs that the network learns to be unsure of."""


@dataclass(frozen=True)
class Form:
    """A way to draw something: the range of each point, and which points each curve goes through."""

    low: Points
    high: Points
    curves: tuple[slice, ...]


@functools.cache
def parse(text: str) -> Form:
    """Read a form as forms.py writes it.

    Raises:
        ValueError: if it is not written so.
    """
    ranges: list[list[tuple[float, float]]] = []
    curves: list[slice] = []
    for stroke in text.split(";"):
        start = len(ranges)
        for piece in stroke.split("|"):
            for point in piece.split():
                bounds = [[float(bound) for bound in number.split(":")] for number in point.split(",")]
                x, y = ((bound[0], bound[-1]) for bound in bounds)
                ranges.append([x, y])
            if len(ranges) - start >= 2:
                curves.append(slice(start, len(ranges)))
            start = len(ranges) - 1  # a corner ends one curve and begins the next
    bounds_of_all = np.array(ranges)
    return Form(bounds_of_all[..., 0], bounds_of_all[..., 1], tuple(curves))


def draw(kind: str, seed: int, places: range) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw several pictures.

    Args:
        kind: digits, or negatives.
        seed: what they are drawn by, with their place.
        places: which ones; each place is drawn the same, whatever the others are.

    Returns:
        Images, uint8 [N, 28, 28], bright ink on black, and labels, int64 [N].
    """
    draw_one = draw_digit if kind == "digits" else draw_other
    images, labels = zip(*(draw_one(place, seed) for place in places), strict=True)
    return np.stack(images), np.array(labels, dtype=np.int64)


def draw_digit(place: int, seed: int) -> tuple[NDArray[np.uint8], int]:
    """Draw a digit: the next of the ten with each place, in one of its forms.

    Returns:
        The image, uint8 [28, 28], bright ink on black, and its label, 0 to 9.
    """
    rng, label = np.random.default_rng((seed, place)), place % 10
    return _as_seen(_drawing([sample(DIGITS[str(label)], rng)], rng)), label


def draw_other(place: int, seed: int) -> tuple[NDArray[np.uint8], int]:
    """Draw a non-digit: of ten, seven letters and signs, a scribble, a blot, and two or three digits in one.

    Returns:
        The image, uint8 [28, 28], bright ink on black, and NON_DIGIT.
    """
    rng = np.random.default_rng((seed, place, 1))
    kind = (letter,) * 7 + (scribble, blot, pair)
    return _as_seen(kind[place % 10](rng)), NON_DIGIT


def form_sheet() -> dict[int, NDArray[np.uint8]]:
    """Draw every form of each digit: by the digit, uint8 [forms, SAMPLES, 28, 28]."""

    def drawn(form: str, *seed: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        return _as_seen(_drawing([sample((form,), rng)], rng))

    return {
        int(digit): np.array(
            [[drawn(form, place, number) for number in range(SAMPLES)] for place, form in enumerate(forms)]
        )
        for digit, forms in DIGITS.items()
    }


def sample(forms: tuple[str, ...], rng: Generator) -> list[Points]:
    """Choose one of the forms and vary it; return its curves in the order they are drawn."""
    form = parse(forms[rng.integers(len(forms))])
    points = rng.uniform(form.low, form.high) + rng.normal(0, JITTER, form.low.shape)
    shift = np.zeros(2)
    curves = []
    for place, curve in enumerate(form.curves):
        if place and form.curves[place - 1].stop <= curve.start:  # the pen was lifted, and comes down a little off
            shift = rng.normal(0, JITTER, 2)
        curves.append(smooth(points[curve] + shift))
    return curves


def smooth(points: Points) -> Points:
    """Lay a curve through the points: a cubic spline over the square roots of the gaps, lest it make loops.

    (Lee 1989, Choosing nodes in parametric curve interpolation.)
    """
    if len(points) == 2:
        return points
    gaps = np.sqrt(np.hypot(*np.diff(points, axis=0).T)) + 1e-3
    nodes = np.concatenate([[0], gaps.cumsum()])
    places = np.linspace(0, nodes[-1], STEPS * len(gaps) + 1)
    return np.asarray(CubicSpline(nodes, points, bc_type="natural")(places))


def letter(rng: Generator) -> Image.Image:
    """Draw a letter or a sign."""
    forms = list(NEGATIVES.values())
    return _drawing([sample(forms[rng.integers(len(forms))], rng)], rng)


def scribble(rng: Generator) -> Image.Image:
    """Draw a line that goes nowhere."""
    points = rng.uniform(0, 1, (rng.integers(3, 12), 2))
    curve = smooth(points) if rng.random() < 0.7 else points
    return _drawing([[curve]], rng)


def pair(rng: Generator) -> Image.Image:
    """Draw two or three digits side by side, touching or nearly."""
    names = [str(name) for name in rng.integers(0, 10, rng.choice([2, 3], p=[0.8, 0.2]))]
    return _drawing([sample(DIGITS[name], rng) for name in names], rng)


def blot(rng: Generator) -> Image.Image:
    """Make a texture or a filled shape: what is left of a photograph of a thing."""
    cells = int(rng.choice([3, 5, 8, 14, 28]))
    noise = Image.fromarray(rng.uniform(0, 255, (cells, cells)).astype(np.uint8))
    soft = noise.resize((HEIGHT, HEIGHT), Image.Resampling.BICUBIC if rng.random() < 0.6 else Image.Resampling.NEAREST)
    if rng.random() < 0.5:
        return soft
    level = rng.uniform(70, 190)
    return soft.point(lambda value: 255 if value > level else 0)


def _drawing(drawings: list[list[Points]], rng: Generator) -> Image.Image:
    """Ink the curves, dark on light, side by side, in one hand and with one pen."""
    hand = _hand(rng)
    placed: list[Points] = []
    right = 0.0
    for curves in drawings:
        turned = [curve @ hand for curve in curves]
        left = min(float(curve[:, 0].min()) for curve in turned)
        moved = [curve + np.array([right - left, 0]) for curve in turned]
        right = max(float(curve[:, 0].max()) for curve in moved) + rng.uniform(-0.08, 0.25)
        placed += moved
    placed = [_with_tremor(curve, rng) for curve in placed]
    if rng.random() < STRETCHED:
        sides = np.ptp(np.vstack(placed), axis=0)
        placed = [curve * (np.clip(sides[1] / sides[0], 0.4, 3), 1) for curve in placed]
    pen = HEIGHT * np.exp(rng.uniform(np.log(0.03), np.log(0.32)))  # thin ballpoint to thick marker
    everything = np.vstack(placed) * HEIGHT
    low, high = everything.min(axis=0) - pen - 3, everything.max(axis=0) + pen + 3
    width, height = (int(side) + 1 for side in high - low)
    paper = Image.new("L", (width, height), 255)
    ink = ImageDraw.Draw(paper)
    pressure = rng.uniform(0, 0.35)
    for curve in placed:
        _ink(ink, curve * HEIGHT - low, pen, pressure, rng)
    if rng.random() < 0.5:
        paper = paper.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    return paper


def _hand(rng: Generator) -> NDArray[np.float64]:
    """Return a slant, a proportion and a turn, as a matrix for points in rows."""
    slant, turn = rng.normal(0.08, 0.21), rng.normal(0, 0.07)
    width = np.exp(rng.normal(0, 0.25))
    slanted = np.array([[width, 0], [-slant, 1]])
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    matrix: NDArray[np.float64] = slanted @ turned
    return matrix


def _with_tremor(curve: Points, rng: Generator) -> Points:
    """Let the hand shake, slowly, about a fiftieth of the height."""
    knots = rng.normal(0, rng.uniform(0, 0.018), (len(curve) // 4 + 2, 2))
    places = np.linspace(0, len(knots) - 1, len(curve))
    shake = [np.interp(places, np.arange(len(knots)), knots[:, axis]) for axis in (0, 1)]
    return np.asarray(curve + np.stack(shake, axis=1))


def _ink(ink: ImageDraw.ImageDraw, curve: Points, pen: float, pressure: float, rng: Generator) -> None:
    """Draw a curve with a round pen whose width swells and shrinks along the way."""
    swell = 1 + pressure * np.sin(rng.uniform(0, 2 * np.pi) + np.linspace(0, rng.uniform(1, 6), len(curve)))
    for start, part in _parts(curve):
        width = max(1, round(pen * swell[start]))
        ink.line([tuple(point) for point in part], fill=0, width=width, joint="curve")
        for x, y in (part[0], part[-1]):
            ink.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=0)


def _parts(curve: Points) -> Iterator[tuple[int, Points]]:
    """Cut a curve into pieces short enough to have one width each."""
    for start in range(0, len(curve) - 1, 4):
        yield start, curve[start : start + 5]


def _as_seen(picture: Image.Image) -> NDArray[np.uint8]:
    """Bring a drawing, dark on light, to 28x28 as a person's picture would be."""
    brightness = np.asarray(picture, dtype=np.float32)
    ink = (brightness.max() - brightness) * np.float32(1 / 255)
    there = ink > FAINT
    if not there.any():  # a blot that is all alike
        return np.zeros((28, 28), dtype=np.uint8)
    image = form(ink[Box.around(there).slices])
    return np.asarray(np.rint(image * 255), dtype=np.uint8)
