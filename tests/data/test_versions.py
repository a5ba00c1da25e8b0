"""Versions of the images, made before the first step, and what a teacher says of them."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Train, settings
from run_folders import rows
from torch import Tensor

from digits.data import mnist, teaching, versions
from digits.data.augmentation import Distortion
from digits.data.config import DistortionConfig
from digits.errors import UserError
from digits.reading.reader import SHIPPED, Reader


def config(*typed: str) -> DistortionConfig:
    found = settings("augment=handwriting", *typed).augment
    assert isinstance(found, DistortionConfig)
    return found


@pytest.fixture
def images(data_dir: Path) -> Tensor:
    return mnist.read(data_dir, train=True)[0][:600]


def test_each_version_is_distorted_its_own_way(images: Tensor) -> None:
    made = versions.make(images, config("augment.versions=3")).view(3, 600, 28, 28)
    assert made.dtype == torch.uint8
    distances = [(one.float() - other.float()).abs().mean() for one, other in ((made[0], made[1]), (made[1], made[2]))]
    assert min(distances) > 5
    ink = made.float().mean(dim=(1, 2, 3))
    assert torch.allclose(ink, images.float().mean().expand(3), rtol=0.05)
    assert torch.equal(versions.make(images, config("augment.versions=3")).view_as(made), made)


def test_the_last_ones_are_weaker(images: Tensor) -> None:
    typed = ("augment.versions=4", "augment.end_share=0.5", "augment.thickness=0")
    for strength, end in ((0.5, 2), (0.0, 1)):
        made = versions.make(images, config(*typed, f"augment.end_strength={strength}")).view(-1, 600, 28, 28)
        assert len(made) == 4 + end
        far = (made.float() - images.float()).abs().mean(dim=(1, 2, 3))
        assert far[4:].max() < (0.7 * far[:4].min() if strength else 1e-6)


def test_every_version_has_its_turn() -> None:
    typed = ("augment.versions=3", "augment.end_share=0.4", "augment.end_strength=0.5")
    turns = [versions.version_of(config(*typed), epoch, 10) for epoch in range(10)]
    assert turns == [0, 1, 2, 0, 1, 2, 3, 3, 3, 3]
    assert [versions.version_of(config("augment.versions=3"), epoch, 5) for epoch in range(5)] == [0, 1, 2, 0, 1]


def test_the_last_epochs_distort_less(images: Tensor, train_tiny: Train) -> None:
    typed = ("model=sigmoid", "augment=light", "schedule=none", "trainer.max_epochs=2", "augment.end_share=0.5")
    usual, weaker = train_tiny(*typed), train_tiny(*typed, "augment.end_strength=0.2")
    first, second = zip(rows(usual), rows(weaker), strict=True)
    assert first[0] == first[1]
    assert second[0]["train/loss"] != second[1]["train/loss"]
    distortion = Distortion(config("augment.end_share=0.5", "augment.end_strength=0.2"), 1, torch.device("cpu"))
    assert [distortion.strength(epoch, 4) for epoch in range(4)] == [1, 1, 0.2, 0.2]
    some = images[:, None].float() / 255
    far = [(distortion(some, distortion.draw(600, 0, one)) - some).abs().mean() for one in (1.0, 0.2)]
    assert far[1] < 0.5 * far[0]


def test_more_than_the_memory_holds_is_one_line(images: Tensor) -> None:
    wanted = config("augment.versions=1000")
    many = images[:1].expand(1_000_000_000, 28, 28)  # a view, which takes no memory
    with pytest.raises(UserError, match=r"augment\.versions=1000: must be at most 0 for so many images: 784000\.0 GB"):
        versions.make(many, wanted)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("augment.versions=0", "augment.versions=0: must be 1 to 1000"),
        ("augment.end_share=1.5", "augment.end_share=1.5: must be 0 to 1"),
        ("augment.end_strength=-1", "augment.end_strength=-1.0: must be 0 to 2"),
    ],
)
def test_wrong_settings_are_one_line(typed: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        config(typed)
    assert str(caught.value).startswith(message)


def test_a_teacher_is_asked_once_about_each_version(
    images: Tensor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = images.split(200)
    with caplog.at_level(logging.INFO, "digits"):
        two = teaching.answers(tmp_path, SHIPPED, [first, second])
        again = teaching.answers(tmp_path, SHIPPED, [first, second])
        more = teaching.answers(tmp_path, SHIPPED, [third, first, second])
    assert [one.getMessage().rpartition(": ")[2] for one in caplog.records] == [
        "200 images, 1 of 2",
        "200 images, 2 of 2",
        "200 images, 1 of 3",
    ]
    assert torch.equal(two, again)
    assert torch.equal(two, more[200:])
    right = Reader(SHIPPED).probabilities(torch.cat([third, first, second]).numpy())
    np.testing.assert_allclose(more.exp(), right, atol=1e-3)


@pytest.mark.parametrize("content", [b"", b"text", "array"])
def test_damaged_answers_are_asked_again(content: bytes | str, images: Tensor, tmp_path: Path) -> None:
    first = teaching.answers(tmp_path, SHIPPED, [images[:10]])
    (kept,) = (tmp_path / "teaching").iterdir()
    if isinstance(content, bytes):
        kept.write_bytes(content)
    else:
        np.save(kept, np.zeros((3, 10), np.float16))
    assert torch.equal(teaching.answers(tmp_path, SHIPPED, [images[:10]]), first)
    assert kept.stat().st_size > 200
    assert len(list(kept.parent.iterdir())) == 1


def test_ends_are_where_the_shares_say() -> None:
    assert [config("augment.end_share=0.2", "augment.end_strength=0.5").ends_at(epochs) for epochs in (1, 5, 10)] == [
        1,
        4,
        8,
    ]
    assert replace(config(), end_share=0.5).ends_at(10) == 10
