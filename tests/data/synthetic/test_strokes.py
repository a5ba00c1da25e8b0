"""Drawn digits: every form can be drawn, each drawing differs, and the same number draws the same."""

import numpy as np
import pytest
from PIL import Image

from digits.data.synthetic import strokes
from digits.data.synthetic.forms import DIGITS, OTHERS
from digits.data.synthetic.strokes import NON_DIGIT, contact_sheet, draw_digit, draw_other, parse, sample, smooth

FORMS = [(name, form) for forms in (DIGITS, OTHERS) for name, texts in forms.items() for form in texts]


def test_a_form_is_read_as_it_is_written() -> None:
    form = parse("0:.1,.2 .5,0 | .5,1 ; .2,.9 .8,.9")
    np.testing.assert_allclose(form.low, [[0, 0.2], [0.5, 0], [0.5, 1], [0.2, 0.9], [0.8, 0.9]])
    np.testing.assert_allclose(form.high[0], [0.1, 0.2])
    assert form.curves == (slice(0, 2), slice(1, 3), slice(3, 5))


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_every_form_gives_curves_in_its_box(name: str, form: str) -> None:
    for seed in range(5):
        curves = sample((form,), np.random.default_rng(seed))
        assert len(curves) == len(parse(form).curves) > 0
        points = np.vstack(curves)
        assert np.isfinite(points).all()
        assert points.min() > -1, name
        assert points.max() < 2, name


def test_a_curve_goes_through_its_points_and_stays_near() -> None:
    points = np.array([[0.0, 0.0], [0.5, 0.1], [0.6, 0.8], [0.1, 1.0]])
    curve = smooth(points)
    for point in points:
        assert np.linalg.norm(curve - point, axis=1).min() < 0.05
    assert curve.min() > -0.3
    assert curve.max() < 1.3
    np.testing.assert_array_equal(smooth(points[:2]), points[:2])


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


def test_the_contact_sheet_has_every_form() -> None:
    sheet = contact_sheet(samples=2)
    assert {digit: len(images) for digit, images in sheet.items()} == {int(d): len(f) for d, f in DIGITS.items()}
    assert all(images.shape[1:] == (2, 28, 28) for images in sheet.values())
