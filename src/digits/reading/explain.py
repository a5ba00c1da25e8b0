"""Pictures for a person to look at: how a picture became 28x28, and what was read where."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digits.handwriting.boxes import Box
from digits.handwriting.normalize import with_usual_strokes
from digits.handwriting.page import Page
from digits.reading.recognize import Digit, Rows

PANEL, GAP, CAPTION = 300, 12, 32
"""Pixels: the longer side of a step, the margin round it, and the height of the lines above it."""

MAX_SHOWN = 40
"""Digits of which the steps are shown; a page may have hundreds."""

RIGHT, WRONG, PAPER, TEXT = (0, 130, 60), (200, 30, 30), (255, 255, 255), (40, 40, 40)
"""Colours: a digit, none, the ground and the words."""


def annotate(picture: Image.Image, rows: Rows) -> Image.Image:
    """Draw a box and the answer over each digit of a picture; the boxes are in its pixels."""
    drawn = on_paper(picture)
    pen = ImageDraw.Draw(drawn)
    line = max(1, max(drawn.size) // 400)
    for digit in (digit for row in rows for digit in row):
        _box(pen, digit.box, digit, line)
        size = max(10, digit.box.height // 3)
        above = digit.box.top - line
        place, anchor = ((digit.box.left, above), "lb") if above > size else ((digit.box.left, digit.box.bottom), "lt")
        font, outline = ImageFont.load_default(size), max(1, size // 8)
        pen.text(place, digit.answer, _colour(digit), font, anchor, stroke_width=outline, stroke_fill=PAPER)
    return drawn


def on_paper(picture: Image.Image) -> Image.Image:
    """Return a picture in RGB, on white where it is transparent."""
    seen = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, PAPER), seen).convert("RGB")


def explain(page: Page, rows: Rows) -> Image.Image:
    """Lay the steps from the picture to what the network saw side by side, those of each digit in a line below."""
    digits = [digit for row in rows for digit in row][:MAX_SHOWN]
    seen = [digit.place.seen for digit in digits] or page.seen  # as the page was turned
    most = max(seen, key=lambda one: sum(other is one for other in seen))
    boxes = grey(page.brightness / 255)
    pen = ImageDraw.Draw(boxes)
    for digit in digits:
        _box(pen, digit.box, digit, max(1, max(boxes.size) // 200))
    lines = [
        [
            ("the picture's brightness", grey(page.brightness / 255)),
            ("the ink of digits", grey(1 - most.ink)),
            ("what is read", boxes),
        ]
    ]
    for digit in digits:
        answer = f"{digit.probabilities.argmax()} with {digit.confidence:.1%}"
        steps = [(f"28x28: {'not a digit; ' if digit.rejected else ''}{answer}", grey(1 - digit.image))]
        if not digit.place.seen.in_mnist_form:
            ink = digit.place.cropped
            steps = [
                ("cropped", grey(1 - ink)),
                ("strokes as wide as MNIST's", grey(1 - with_usual_strokes(ink))),
                *steps,
            ]
        lines.append(steps)
    return sheet(lines, PANEL)


def sheet(lines: list[list[tuple[str, Image.Image]]], side: int) -> Image.Image:
    """Lay pictures in lines, each under its caption.

    Args:
        lines: of each picture its caption, of at most two lines, and itself.
        side: pixels of the longer side that each is brought to.
    """
    across, down = side + GAP, side + CAPTION + GAP
    columns = max(map(len, lines))
    drawn = Image.new("RGB", (columns * across + GAP, len(lines) * down + GAP), (225, 225, 225))
    pen = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(14 if side > 200 else 11)
    for row, line in enumerate(lines):
        for column, (caption, picture) in enumerate(line):
            left, top = GAP + column * across, GAP + row * down
            pen.text((left, top + CAPTION - 4), caption, fill=TEXT, font=font, anchor="ld")
            drawn.paste(fit(picture, side), (left, top + CAPTION))
    return drawn


def fit(picture: Image.Image, side: int) -> Image.Image:
    """Bring the longer side to so many pixels; small pictures keep their pixels as squares."""
    factor = side / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX)


def grey(values: NDArray[np.floating]) -> Image.Image:
    """Return values from 0 to 1, [height, width], as a picture."""
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8)).convert("RGB")


def _box(pen: ImageDraw.ImageDraw, box: Box, digit: Digit, line: int) -> None:
    outside = (box.left - line, box.top - line, box.right + line - 1, box.bottom + line - 1)
    pen.rectangle(outside, outline=_colour(digit), width=line)


def _colour(digit: Digit) -> tuple[int, int, int]:
    return WRONG if digit.rejected else RIGHT
