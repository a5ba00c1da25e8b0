"""Synthetic images are drawn once, and again where they are damaged or the code that draws has changed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from digits.data.synthetic import cache, strokes
from digits.data.synthetic.cache import prepare


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The places of the digits that are drawn."""
    drawn: list[int] = []
    draw = strokes.draw_digit

    def counted(place: int, seed: int) -> tuple[NDArray[np.uint8], int]:
        drawn.append(place)
        return draw(place, seed)

    monkeypatch.setattr(strokes, "draw_digit", counted)
    return drawn


def test_they_are_drawn_once(tmp_path: Path, count: list[int]) -> None:
    images, labels = prepare(tmp_path, "digits", 12, 1)
    assert images.shape == (12, 28, 28)
    assert images.dtype == torch.uint8
    assert labels.tolist() == [*range(10), 0, 1]
    assert labels.dtype == torch.int64
    again, _ = prepare(tmp_path, "digits", 12, 1)
    assert torch.equal(images, again)
    assert len(count) == 12
    other, _ = prepare(tmp_path, "digits", 12, 2)
    assert not torch.equal(images, other)


def test_several_processes_draw_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = prepare(tmp_path / "one", "negatives", 30, 1)
    monkeypatch.setattr(cache, "PART", 4)
    several = prepare(tmp_path / "several", "negatives", 30, 1)
    assert torch.equal(one[0], several[0])
    assert torch.equal(one[1], several[1])


def test_a_damaged_file_is_drawn_again(tmp_path: Path, count: list[int]) -> None:
    images, _ = prepare(tmp_path, "digits", 3, 1)
    (file,) = (tmp_path / "synthetic").iterdir()
    for content in (b"", file.read_bytes()[:200], b"no archive"):
        file.write_bytes(content)
        assert torch.equal(prepare(tmp_path, "digits", 3, 1)[0], images)
    assert len(count) == 12


def test_changed_code_draws_anew(tmp_path: Path, count: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, "digits", 3, 1)
    monkeypatch.setattr(cache, "MADE_BY", cache.MADE_BY[:1])
    prepare(tmp_path, "digits", 3, 1)
    assert len(count) == 6
