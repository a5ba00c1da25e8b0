"""From a page to its digits: what belongs together, what is dirt, in which order it is read, and where it is parted."""

import numpy as np
from drawn_pages import brightness, page, row
from PIL import Image, ImageDraw

from digits.handwriting.page import find
from digits.handwriting.segment import Box


def layout(picture: Image.Image) -> list[int]:
    """How many digits each row has."""
    return [len(line) for line in find(brightness(picture)).rows]


def test_digits_are_found_in_rows_from_left_to_right() -> None:
    picture = page([*row("123", top=20), *row("4567", top=130), ("8", 30, 240)], size=(330, 350))
    rows = find(brightness(picture)).rows
    assert [len(line) for line in rows] == [3, 4, 1]
    for line in rows:
        assert [piece.box.left for piece in line] == sorted(piece.box.left for piece in line)
    assert rows[0][0].box.top < rows[1][0].box.top < rows[2][0].box.top


def test_a_leaning_row_is_one_row() -> None:
    places = [(name, 20 + 75 * number, 20 + 22 * number) for number, name in enumerate("86053")]
    assert layout(page(places, size=(400, 260))) == [5]


def test_strokes_of_one_digit_stay_together() -> None:
    five = Image.new("L", (120, 140), 255)
    draw = ImageDraw.Draw(five)
    draw.line([(45, 40), (42, 65), (80, 75), (75, 110), (40, 115)], fill=0, width=6, joint="curve")
    draw.line([(52, 24), (90, 22)], fill=0, width=6)  # its bar, apart
    assert layout(five) == [1]
    eight = Image.new("L", (120, 140), 255)
    draw = ImageDraw.Draw(eight)
    draw.ellipse((40, 20, 80, 62), outline=0, width=6)
    draw.ellipse((35, 68, 85, 120), outline=0, width=6)  # not touching
    found = find(brightness(eight))
    assert found.whole.box.height > 95
    four = Image.new("L", (120, 140), 255)
    draw = ImageDraw.Draw(four)
    draw.line([(40, 20), (25, 75), (70, 75)], fill=0, width=6, joint="curve")
    draw.line([(80, 40), (78, 120)], fill=0, width=6)
    assert len(find(brightness(four)).pieces) == 2


def test_specks_and_a_neighbours_rest_are_left_out() -> None:
    picture = page([("3", 110, 40)], height=110)
    clean = find(brightness(picture)).whole.box
    draw = ImageDraw.Draw(picture)
    for x, y in ((20, 20), (260, 50), (240, 180)):
        draw.ellipse((x, y, x + 4, y + 4), fill=30)
    draw.line([(299, 60), (285, 90), (299, 120)], fill=30, width=7)  # reaches in from the right
    assert find(brightness(picture)).whole.box == clean


def test_the_cell_of_a_form_is_left_out_and_a_dotted_zero_is_whole() -> None:
    picture = page([("5", 60, 40)], size=(200, 180), height=100)
    clean = find(brightness(picture)).whole.box
    ImageDraw.Draw(picture).rectangle((20, 15, 175, 165), outline=30, width=3)
    assert find(brightness(picture)).whole.box == clean
    zero = Image.new("L", (120, 140), 255)
    draw = ImageDraw.Draw(zero)
    draw.ellipse((30, 20, 90, 120), outline=0, width=7)
    draw.ellipse((52, 62, 68, 78), fill=0)
    assert find(brightness(zero)).whole.box.height > 95


def test_a_digit_that_touches_the_edge_is_kept() -> None:
    picture = page([("3", 40, 30)], size=(150, 138), height=110)
    values = brightness(picture)
    ink = values < 128
    cropped = values[np.ix_(ink.any(axis=1), ink.any(axis=0))]
    found = find(cropped)
    assert found.whole.box == Box(0, 0, *cropped.shape)


def test_nothing_is_found_where_nothing_is() -> None:
    found = find(np.full((50, 60), 200, dtype=np.float32))
    assert found.pieces == []
    assert found.brightness.shape == found.ink.shape == found.labels.shape == (50, 60)


def test_cuts_lie_where_touching_digits_meet() -> None:
    picture = page([("0", 40, 40), ("6", 98, 40)], size=(220, 160), pen=8)
    found = find(brightness(picture))
    (whole,) = found.pieces if len(found.pieces) == 1 else [found.whole]
    cuts = found.cuts(whole)
    assert any(92 <= cut <= 112 for cut in cuts)
    assert cuts == sorted(cuts)
    left, right = found.between(whole, whole.box.left, 102), found.between(whole, 102, whole.box.right)
    assert left is not None
    assert right is not None
    assert left.box.right <= 102 <= right.box.left
    assert found.image(left).shape == found.image(right).shape == (28, 28)
    blank = found.between(whole, whole.box.right, whole.box.right + 5)
    assert blank is None


def test_an_underline_is_no_digit_and_a_sign_is_one_thing() -> None:
    picture = page(row("258"))
    clean = find(brightness(picture)).rows
    ImageDraw.Draw(picture).line([(20, 150), (230, 146)], fill=30, width=5)
    assert [[piece.box for piece in line] for line in find(brightness(picture)).rows] == [
        [piece.box for piece in line] for line in clean
    ]
    assert layout(page([("divided", 60, 40)], height=100)) == [1]
