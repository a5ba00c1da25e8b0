"""Pictures for the tests, drawn by the stroke generator: digits and letters on pages of every kind."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from digits.data.synthetic.forms import DIGITS, OTHERS
from digits.data.synthetic.pages import targets
from digits.data.synthetic.strokes import sample
from digits.handwriting.grouping import USUAL_SIZE

Array = NDArray[np.float32]
SIDE = 256

PLAIN = {"0": 0, "1": 3, "2": 0, "3": 0, "4": 5, "5": 0, "6": 0, "7": 0, "8": 0, "9": 0}
"""A form of each digit that anybody would recognise."""

Place = tuple[str, float, float]
"""A digit or a letter, and where its box's left and top are, in pixels."""


def page(
    places: Sequence[Place],
    size: tuple[int, int] = (300, 200),
    height: int = 80,
    pen: int = 7,
    ink: int = 30,
    paper: int = 235,
    seed: int = 0,
) -> Image.Image:
    """Draw digits (0 to 9) and others (by their name in forms.py) at their places, on plain paper."""
    picture = Image.new("L", size, paper)
    write(picture, places, height, pen, ink, seed)
    return picture


def write(picture: Image.Image, places: Sequence[Place], height: int, pen: int, ink: int, seed: int = 0) -> None:
    """Draw on a picture that is there."""
    rng = np.random.default_rng(seed)
    draw = ImageDraw.Draw(picture)
    for name, left, top in places:
        forms = (DIGITS[name][PLAIN[name]],) if name in DIGITS else OTHERS[name][:1]
        for curve in sample(forms, rng):
            points = [(left + x * height, top + y * height) for x, y in curve]
            draw.line(points, fill=ink, width=pen, joint="curve")
            for x, y in (points[0], points[-1]):
                draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=ink)


def row(text: str, left: float = 15, top: float = 40, step: float = 70) -> list[Place]:
    """Return the places of digits beside each other."""
    return [(name, left + number * step, top) for number, name in enumerate(text)]


def brightness(picture: Image.Image) -> NDArray[np.float32]:
    """Return a picture as handwriting/ takes it."""
    return np.asarray(picture.convert("L"), dtype=np.float32)


def png(picture: Image.Image) -> bytes:
    """Return a picture as a file's content."""
    content = io.BytesIO()
    picture.save(content, "png")
    return content.getvalue()


def shade(picture: Image.Image, darkest: float) -> Image.Image:
    """Return the picture under a light that falls off to one corner, down to a share of it there."""
    values = brightness(picture)
    down, across = np.meshgrid(*(np.linspace(0, 1, side) for side in values.shape), indexing="ij")
    return Image.fromarray((values * (1 - (1 - darkest) * (down + across) / 2)).astype(np.uint8))


def votes_of(numbers: NDArray[np.int16]) -> Array:
    """What a network says that knows the digits, [3, height/2, width/2]."""
    votes = targets(numbers)[2:, ::2, ::2].copy()
    votes[:2] /= USUAL_SIZE
    votes[2] -= np.log(USUAL_SIZE)
    return votes
