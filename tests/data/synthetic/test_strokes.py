"""Drawn digits: every form can be drawn, each drawing differs, and the same number draws the same."""

import numpy as np
import pytest
from PIL import Image

from digits.data.synthetic import strokes
from digits.data.synthetic.forms import DIGITS, OTHERS
from digits.data.synthetic.strokes import NON_DIGIT, draw_digit, draw_other, parse, sample

FORMS = [(name, form) for forms in (DIGITS, OTHERS) for name, texts in forms.items() for form in texts]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_every_form_gives_curves_in_its_box(name: str, form: str) -> None:
    for seed in range(5):
        curves = sample((form,), np.random.default_rng(seed))
        assert len(curves) == len(parse(form).curves) > 0
        points = np.vstack(curves)
        assert np.isfinite(points).all()
        assert points.min() > -1, name
        assert points.max() < 2, name


def test_digits_come_in_turn_and_repeat_by_their_number() -> None:
    drawn = [draw_digit(place, 7) for place in range(20)]
    assert [label for _, label in drawn] == [*range(10), *range(10)]
    for image, _ in drawn:
        assert image.shape == (28, 28)
        assert image.dtype == np.uint8
        assert image.max() == 255
        assert (image > 0).sum() > 20
    assert np.array_equal(draw_digit(3, 7)[0], drawn[3][0])
    assert not np.array_equal(drawn[3][0], drawn[13][0])
    assert not np.array_equal(draw_digit(3, 8)[0], drawn[3][0])


def test_what_is_no_digit_is_of_every_kind() -> None:
    drawn = [draw_other(place, 7) for place in range(40)]
    assert {label for _, label in drawn} == {NON_DIGIT}
    assert all(image.shape == (28, 28) for image, _ in drawn)
    assert len({image.tobytes() for image, _ in drawn}) == 40


def test_a_blot_without_ink_is_an_empty_image(monkeypatch: pytest.MonkeyPatch) -> None:
    blank = Image.new("L", (50, 50), 128)
    monkeypatch.setattr(strokes, "blot", lambda _: blank)
    assert draw_other(8, 1)[0].max() == 0
