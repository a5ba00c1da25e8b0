"""The MNIST files: unpacked once, checked, mended, and a plain word where they cannot be had."""

import shutil
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from digits.data import mnist
from digits.errors import UserError
from digits.models.standardize import MEAN, STD


def raw(folder: Path) -> Path:
    return folder / "MNIST" / "raw"


def test_the_official_split_is_read(data_dir: Path) -> None:
    images, labels = mnist.read(data_dir, train=True)
    assert images.shape == (60_000, 28, 28)
    assert images.dtype == torch.uint8
    assert labels.shape == (60_000,)
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    images, labels = mnist.read(data_dir, train=False)
    assert images.shape == (10_000, 28, 28)
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_the_networks_normalise_by_the_training_images(data_dir: Path) -> None:
    pixels = mnist.read(data_dir, train=True)[0].double() / 255
    assert (pixels.mean().item(), pixels.std().item()) == pytest.approx((MEAN, STD), abs=1e-4)


def test_files_are_unpacked_once(data_dir: Path) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in raw(data_dir).iterdir()}
    mnist.prepare(data_dir)
    assert {file.name: file.stat().st_mtime_ns for file in raw(data_dir).iterdir()} == before
    assert set(before) == set(mnist.MD5)


@pytest.mark.parametrize("damage", [b"", b"\x00\x00\x08\x01 a label file of another kind"])
def test_a_damaged_file_is_unpacked_anew(data_dir: Path, tmp_path: Path, damage: bytes) -> None:
    shutil.copytree(data_dir, tmp_path, dirs_exist_ok=True)
    labels = raw(tmp_path) / "t10k-labels-idx1-ubyte"
    intact = labels.read_bytes()
    labels.write_bytes(damage)
    mnist.prepare(tmp_path)
    assert labels.read_bytes() == intact
    assert sorted(file.name for file in raw(tmp_path).iterdir()) == sorted(mnist.MD5)


def test_without_files_and_network_it_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(mnist, "PACKAGED", tmp_path / "nothing")
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", unreachable)
    with pytest.raises(UserError) as caught:
        mnist.prepare(tmp_path)
    assert "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz" in str(caught.value)
    assert str(tmp_path / "nothing") in str(caught.value)


def test_a_packaged_file_with_other_content_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(mnist.PACKAGED, tmp_path, dirs_exist_ok=True)
    shutil.copy(tmp_path / "t10k-labels-idx1-ubyte.gz", tmp_path / "train-labels-idx1-ubyte.gz")
    monkeypatch.setattr(mnist, "PACKAGED", tmp_path)
    with pytest.raises(UserError, match=r"train-labels-idx1-ubyte\.gz: not the MNIST file of that name"):
        mnist.prepare(tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "MNIST").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be written to"):
        mnist.prepare(tmp_path)
