"""Ink is told from paper, whatever the light, the side and the rules."""

import numpy as np
import pytest
from drawn_pages import brightness, page, row, shade
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from digits.handwriting.ink import find_ink, marks, without_rules
from digits.handwriting.page import find


def share_found(values: NDArray[np.float32], clean: NDArray[np.float32]) -> tuple[float, float]:
    """What share of the clean picture's ink is marked, and what share of what is marked is ink."""
    truth = clean < 128
    found = find(values)
    kept = np.isin(found.labels, [label for piece in found.pieces for label in piece.labels])
    return (kept & truth).sum() / truth.sum(), (kept & truth).sum() / max(kept.sum(), 1)


@pytest.mark.parametrize("darkest", [0.9, 0.6, 0.4])
def test_uneven_light_is_evened_out(darkest: float) -> None:
    picture = page(row("2580"))
    caught, pure = share_found(shade(picture, darkest), brightness(picture))
    assert caught > 0.93
    assert pure > 0.8


def test_a_hard_shadow_over_half_the_page_is_no_ink() -> None:
    picture = page(row("58"))
    values = np.where(np.arange(300)[None] > 160, brightness(picture) * 0.55, brightness(picture))
    caught, pure = share_found(values.astype(np.float32), brightness(picture))
    assert caught > 0.9
    assert pure > 0.9


def test_the_desk_round_the_paper_is_no_ink() -> None:
    paper = page(row("258", left=90, top=150, step=150), size=(640, 480), height=170, pen=11)
    desk = Image.new("L", (760, 600), 50)
    desk.paste(paper, (50, 60))
    clean = Image.new("L", (760, 600), 235)
    clean.paste(paper, (50, 60))
    caught, pure = share_found(brightness(desk), brightness(clean))
    assert caught > 0.95
    assert pure > 0.95


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("colour", [150, 60])
def test_rules_and_grids_are_no_ink(grid: bool, colour: int) -> None:
    clean = page(row("2580", top=50), ink=30)
    picture = clean.copy()
    draw = ImageDraw.Draw(picture)
    for y in range(20, 200, 45):
        draw.line([(0, y), (300, y + 2)], fill=colour, width=2)
    for x in range(15, 300, 45) if grid else ():
        draw.line([(x, 0), (x, 200)], fill=colour, width=2)
    written = Image.fromarray(np.minimum(np.asarray(picture), np.asarray(clean)))
    caught, pure = share_found(brightness(written), brightness(clean))
    assert caught > 0.9
    assert pure > 0.85


def test_a_foot_or_a_bar_from_edge_to_edge_is_no_rule() -> None:
    for name in ("7", "2", "4"):
        picture = page([(name, 10, 10)], size=(100, 120), height=100, pen=9)
        values = brightness(picture)
        ink = values < 128
        cropped = values[np.ix_(ink.any(axis=1), ink.any(axis=0))]
        caught, _ = share_found(cropped, cropped)
        assert caught > 0.97, name


def test_a_single_rule_below_a_digit_goes_and_the_digit_stays() -> None:
    picture = page([("3", 120, 20)], size=(300, 200), height=110)
    draw = ImageDraw.Draw(picture)
    draw.line([(0, 150), (300, 146)], fill=30, width=3)
    kept = without_rules(brightness(picture) < 128)
    assert not kept[140:160].any()
    assert kept[:130].any()


@pytest.mark.parametrize("side", [16, 40, 200])
def test_a_thick_ring_cropped_to_itself_is_the_ink(side: int) -> None:
    large = Image.new("L", (200, 200), 0)
    draw = ImageDraw.Draw(large)
    draw.ellipse((0, 0, 199, 199), fill=255)
    draw.ellipse((60, 60, 140, 140), fill=0)
    values = brightness(large.resize((side, side), Image.Resampling.BOX))
    assert (values > 128).mean() > 0.55  # more ink than paper
    for one in (values, 255 - values):
        ink = find_ink(one)
        assert ink is not None
        assert ink[0, 0] < 0.2
        assert ink[side // 2, side // 10] > 0.8
        assert ink[side // 2, side // 2] < 0.2


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize(("ink", "paper"), [(20, 240), (240, 20)])
def test_a_thick_marker_on_a_small_sheet_is_the_ink(digit: int, ink: int, paper: int) -> None:
    picture = page([(str(digit), 25, 25)], size=(110, 130), height=80, pen=26, ink=ink, paper=paper)
    found = find_ink(brightness(picture))
    assert found is not None
    assert found[0].max() < 0.2
    assert found.mean() == pytest.approx(float((np.abs(brightness(picture) - ink) < 50).mean()), abs=0.1)


@pytest.mark.parametrize("paper", [0, 60, 128, 230, 255])
@pytest.mark.parametrize("size", [(28, 28), (300, 400)])
def test_a_blank_page_with_grain_and_shade_has_no_ink(paper: int, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).normal(paper, 3, size)
    blank = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    assert find_ink(brightness(blank)) is None
    assert find_ink(shade(blank, 0.7)) is None


@pytest.mark.parametrize(("ink", "paper"), [(120, 180), (195, 235), (40, 10)])
def test_pale_ink_on_grained_paper_is_found(ink: int, paper: int) -> None:
    picture = page(row("25"), ink=ink, paper=paper).filter(ImageFilter.GaussianBlur(1))
    grain = np.random.default_rng(0).normal(0, 2, (200, 300))
    values = np.clip(brightness(picture) + grain, 0, 255).astype(np.float32)
    caught, pure = share_found(values, brightness(page(row("25"))))
    assert caught > 0.85
    assert pure > 0.85


def test_a_pale_part_of_a_stroke_hangs_together_with_the_rest() -> None:
    ink = np.zeros((20, 20), dtype=np.float32)
    ink[5, 2:10], ink[5, 10:18] = 1, 0.3
    ink[15, 2:4] = 0.3
    found = marks(ink, 0.5)
    assert found[5, 2:18].all()
    assert not found[15].any()
