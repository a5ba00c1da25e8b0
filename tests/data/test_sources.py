"""Images of one's own: the same tensors from every format, and one line for every file that is not as it must be."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Command, settings
from image_files import csv, idx, mat, npz

from digits.data import mnist
from digits.data.datamodule import MNISTDataModule
from digits.data.sources import read
from digits.errors import UserError
from digits.formats import images as image_format
from digits.formats import mat as mat_format
from digits.formats import npz as npz_format
from digits.formats.images import ImageSet

HEADER = ",".join(["label", *(f"{row}x{column}" for row in range(1, 29) for column in range(1, 29))])
TRAIN, TEST = 600, 100


@pytest.fixture(scope="session")
def halves(data_dir: Path) -> list[ImageSet]:
    """A little of MNIST, to be written in every format."""
    found = []
    for train, count in ((True, TRAIN), (False, TEST)):
        images, labels = mnist.read(data_dir, train=train)
        found.append(ImageSet(images[:count].numpy(), labels[:count].numpy()))
    return found


def write_idx(folder: Path, halves: list[ImageSet], pack: bool) -> list[str]:
    for half, part in zip(("train", "t10k"), halves, strict=True):
        for kind, values in (("images-idx3", part.images), ("labels-idx1", part.labels)):
            content = idx(values)
            name = f"{half}-{kind}-ubyte" + (".gz" if pack else "")
            (folder / name).write_bytes(gzip.compress(content) if pack else content)
    return [f"data.path={folder}"]


def write_idx_files(folder: Path, halves: list[ImageSet]) -> list[str]:
    write_idx(folder, halves, pack=True)
    names = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
    return [f"data.{key}={folder / name}" for key, name in zip(("path", "test_path"), names, strict=True)]


def write_csv(folder: Path, halves: list[ImageSet], header: bool) -> list[str]:
    for name, part in zip(("train.csv", "test.csv"), halves, strict=True):
        (folder / name).write_text(csv(part.images, part.labels, HEADER + "\n" if header else ""), encoding="utf-8")
    return [f"data.path={folder / 'train.csv'}", f"data.test_path={folder / 'test.csv'}"]


def write_mat(folder: Path, halves: list[ImageSet], kind: type, compress: bool) -> list[str]:
    images = np.concatenate([part.images for part in halves]).reshape(-1, 784).T
    labels = np.concatenate([part.labels for part in halves])[None]
    content = mat(compress, data=images.astype(kind), label=labels.astype(kind))
    (folder / "all.mat").write_bytes(content)
    return [f"data.path={folder / 'all.mat'}", f"data.test_size={TEST}"]


def write_keras(folder: Path, halves: list[ImageSet]) -> list[str]:
    (x_train, y_train), (x_test, y_test) = ((part.images, part.labels) for part in halves)
    np.savez_compressed(folder / "mnist.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return [f"data.path={folder / 'mnist.npz'}"]


WRITERS: dict[str, Callable[[Path, list[ImageSet]], list[str]]] = {
    "idx": lambda folder, halves: write_idx(folder, halves, pack=False),
    "idx.gz": lambda folder, halves: write_idx(folder, halves, pack=True),
    "idx files": write_idx_files,
    "csv": lambda folder, halves: write_csv(folder, halves, header=False),
    "csv with header": lambda folder, halves: write_csv(folder, halves, header=True),
    "mat": lambda folder, halves: write_mat(folder, halves, np.uint8, compress=False),
    "mat of doubles": lambda folder, halves: write_mat(folder, halves, np.float64, compress=True),
    "npz of Keras": write_keras,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_tensors(kind: str, halves: list[ImageSet], tmp_path: Path) -> None:
    typed = WRITERS[kind](tmp_path, halves)
    config = settings(*typed, f"data.dir={tmp_path / 'cache'}", "data.val_size=0")
    data = MNISTDataModule(config.data, config.augment, 1)
    data.setup("fit")
    for found, expected in zip((data.train_set, data.test_set), halves, strict=True):
        assert found.images.dtype == torch.uint8
        assert found.labels.dtype == torch.int64
        assert np.array_equal(found.images.numpy(), expected.images)
        assert np.array_equal(found.labels.numpy(), expected.labels)


ROW = [5, *[0] * 784]


def changed(place: int, value: object, count: int = 4, row: int = 2) -> str:
    table: list[list[object]] = [[*ROW] for _ in range(count)]
    table[row - 1][place - 1] = value
    return "\n".join(",".join(map(str, one)) for one in table)


WRONG_CSV = {
    "783 values": (",".join(map(str, ROW[:-1])), "row 1: has 784 values; must have 785"),
    "no label": (HEADER + "\n" + ",".join(map(str, ROW[1:])), "row 2: has 784 values; must have 785: the label"),
    "256": (changed(3, 256), "row 2, column 3: '256'; must be a whole number from 0 to 255"),
    "-1": (changed(785, -1), "row 2, column 785: '-1'; must be a whole number"),
    "3.5": (changed(3, 3.5), "row 2, column 3: '3.5'; must be a whole number"),
    "abc": (changed(3, "abc"), "row 2, column 3: 'abc'; must be a whole number"),
    "nothing": (changed(3, ""), "row 2, column 3: ''; must be a whole number"),
    "label 10": (changed(1, 10), "row 2, column 1: '10'; must be a label, a whole number from 0 to 9"),
    "a header alone": (HEADER, "has no rows; must have rows of 785"),
    "semicolons": (changed(1, 5).replace(",", ";"), "row 1, column 1: '5;0;0"),
    "a quote that does not end": ('"' + changed(1, 5), "row 1"),
    "a row without end": (
        changed(1, 5) + "\n" + "5," * 40_000,
        "row 5 has more than 65535 bytes; must have 785 values",
    ),
}


@pytest.mark.parametrize("kind", WRONG_CSV)
def test_wrong_csv_is_one_line_with_row_and_column(kind: str, tmp_path: Path) -> None:
    text, message = WRONG_CSV[kind]
    refused(tmp_path / "wrong.csv", text.encode(), message)


def refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read(str(path), None, 1)
    line = str(caught.value)
    assert str(path) in line
    assert message in line
    assert "\n" not in line
    assert len(line) < 400


@pytest.mark.parametrize(
    "text",
    [
        changed(3, 255).replace("\n", "\r\n"),
        changed(3, " 255 "),
        "\ufeff" + changed(3, 255),
        "\n" + changed(3, 255) + "\n\n",
        "\n".join(",".join(f'"{one}"' for one in line.split(",")) for line in changed(3, 255).splitlines()),
    ],
)
def test_csv_of_other_programs_is_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_bytes(text.encode())
    train, _ = read(str(tmp_path / "own.csv"), None, 1)
    assert train.images[1, 0, 1] == 255


PAIR = np.zeros((3, 28, 28), dtype=np.uint8)
LABELS = np.array([1, 2, 3])


class Malicious:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


def npz_bomb(size: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as member:
        for _ in range(size // 2**20 + 1):
            member.write(bytes(2**20))
    return file.getvalue()


def npz_claim() -> bytes:
    """An array whose header says terabytes."""
    file, array = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "|u1", "fortran_order": False, "shape": (2**42,)})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", array.getvalue())
    return file.getvalue()


def mat_bomb(size: int) -> bytes:
    """A compressed variable of zeros."""
    packed = zlib.compress(struct.pack("<II", 14, size) + bytes(size))
    return mat(a=np.zeros(1))[:128] + struct.pack("<II", 15, len(packed)) + packed


LARGE = 2**22
WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty"),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n", "begins with the bytes 0x89504e47, which no IDX, CSV, .mat or .npz"),
    "another magic number": (lambda: struct.pack(">IIII", 0xD03, 1, 28, 28) + bytes(784), "number 0x00000d03; IDX"),
    "images of 20x20": (lambda: idx(np.zeros((3, 20, 20))), "images of 20x20 pixels; must be 28x28"),
    "fewer bytes than the header says": (
        lambda: idx(PAIR)[:-1],
        "has 2351 bytes behind its header, fewer than the 2352",
    ),
    "an IDX header cut off": (lambda: idx(PAIR)[:9], "ends within its header of 16 bytes"),
    "several gzip parts": (lambda: gzip.compress(b"1,2") * 2, "has something behind its gzipped content"),
    ".npz of 14x56": (lambda: npz(x=PAIR.reshape(3, 14, 56), y=LABELS), "x has the shape [3, 14, 56]; must have"),
    "images whose name says no images": (lambda: idx(PAIR), "of images; its name must have images in it"),
    "labels alone": (lambda: idx(LABELS), "has the labels of an IDX pair; give the file of the images"),
    "gzip cut off": (lambda: gzip.compress(idx(PAIR))[:-9], "is a gzip file that was cut off"),
    "a gzip bomb": (lambda: gzip.compress(bytes(LARGE)), "more than 1048576 bytes unpacked"),
    "a large file": (lambda: b"1" * LARGE, "more than 1048576 bytes unpacked"),
    ".npz of other names": (lambda: npz(images=PAIR), "has none of the arrays it must have: x_train, y_train"),
    ".npz without labels": (lambda: npz(x=PAIR), "has x, but no y"),
    ".npz that runs code": (lambda: npz(x=np.array([Malicious()]), y=LABELS), "Object arrays cannot be loaded"),
    ".npz of gigabytes": (lambda: npz_bomb(LARGE), "bytes unpacked; at most 1048576 are read"),
    ".npz that says terabytes": (npz_claim, "cannot be read as .npz"),
    ".npz cut off": (lambda: npz(x=PAIR, y=LABELS)[:200], "cannot be read as .npz"),
    ".npz of no images": (lambda: npz(x=PAIR[:0], y=LABELS[:0]), "with at least one image"),
    ".npz with too few labels": (lambda: npz(x=PAIR, y=LABELS[:2]), "y has the shape [2]; must have [3], as x has"),
    ".npz with 256": (lambda: npz(x=PAIR.astype(int) + 256, y=LABELS), "x[0, 0, 0] is 256; must be a whole number"),
    ".npz with 0.5": (lambda: npz(x=PAIR + 0.5, y=LABELS), "x[0, 0, 0] is 0.5; must be a whole number from 0 to 255"),
    ".npz with nan": (lambda: npz(x=PAIR + np.nan, y=LABELS), "x[0, 0, 0] is nan; must be a whole number"),
    ".npz with label 10": (lambda: npz(x=PAIR, y=LABELS + 7), "y[2] is 10; must be a whole number from 0 to 9"),
    ".npz of texts": (lambda: npz(x=PAIR, y=np.array(["1", "2", "3"])), "y is <U1; must be whole numbers"),
    ".mat without data": (lambda: mat(label=LABELS), "has no data; must have data and label, has label"),
    ".mat without label": (lambda: mat(data=PAIR.reshape(3, 784)), "has no label; must have data and label, has data"),
    ".mat of texts": (lambda: mat(data="zeros", label=LABELS), "data is text; must be numbers"),
    ".mat of structures": (lambda: mat(data={"a": 1}, label=LABELS), "data is a structure; must be numbers"),
    ".mat cut off": (lambda: mat(data=PAIR.reshape(3, 784), label=LABELS)[:-3], "cannot be read as .mat"),
    ".mat of gigabytes": (lambda: mat_bomb(LARGE), "has too many bytes, unpacked"),
    ".mat of version 7.3": (lambda: b"MATLAB 7.3 MAT-file" + bytes(600), "is a .mat file of version 7.3"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_files_are_one_line(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for module in (image_format, npz_format, mat_format):
        monkeypatch.setattr(module, "MAX_BYTES", 2**20)
    make, message = WRONG[kind]
    refused(tmp_path / "wrong", make(), message)
    assert not (tmp_path / "ran").exists()


def test_labels_that_do_not_go_with_the_images_are_named(tmp_path: Path) -> None:
    images, labels = tmp_path / "a-images-idx3-ubyte", tmp_path / "a-labels-idx1-ubyte"
    images.write_bytes(idx(PAIR))
    for content, message in (
        (idx(LABELS[:2]), f"has 2 labels; must have 3, as {images} has images"),
        (idx(PAIR), "is not an IDX file of labels"),
        (idx(LABELS + 7), "label[2] is 10"),
    ):
        labels.write_bytes(content)
        with pytest.raises(UserError, match=str(labels)) as caught:
            read(str(images), None, 1)
        assert message in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["data.path={tmp}/gone.csv"], "gone.csv: there is no such file of images"),
        (["data.path={tmp}/all.npz", "data.test_path={tmp}/gone.csv"], "data.test_path="),
        (["data.path={tmp}"], "has no train-images-idx3-ubyte or train-images-idx3-ubyte.gz"),
        (
            ["data.path={tmp}", "data.test_size=3"],
            "is a folder, which has its test images; leave test_path and test_size out",
        ),
        (["data.path={tmp}/all.npz"], "has no test images of its own; give data.test_path=FILE, or data.test_size=N"),
        (["data.path={tmp}/all.npz", "data.test_size=60"], "data.test_size=60: must be 1 to 59"),
        (["data.path={tmp}/all.npz", "data.test_size=0"], "data.test_size=0: must be 1 to"),
        (["data.path={tmp}/sorted.npz", "data.test_size=5"], "its last 5 images are of 9 only; shuffle"),
        (["data.path={tmp}/mnist.npz", "data.test_size=5"], "has test images of its own; leave data.test_size out"),
        (["data.path={tmp}/halves.npz", "data.test_size=100"], "its last 100 images are of 5 only; shuffle"),
        (
            ["data.path={tmp}/last.npz", "data.test_size=9"],
            "all its labels are 0; in CSV, the label is the first value",
        ),
        (["data.path={tmp}/binary.npz", "data.test_size=9"], "its pixels are 0 and 1; must be 0 to 255"),
        (["data.path={tmp}/mnist.npz", "data.test_path=a.csv"], "has test images of its own; leave data.test_path out"),
        (["data.path={tmp}/all.npz", "data.test_path={tmp}/mnist.npz"], "give it as data.path, without data.test_path"),
        (["data.path={tmp}/all.npz", "data.test_size=5"], "data.val_size=5000: must be 0 to 54"),
        (["data.path={tmp}/all.npz", "data.test_size=5", "data.val_size=5"], "data.batch_size=128: must be 1 to 55"),
    ],
)
def test_wrong_settings_are_one_line_and_leave_nothing(
    typed: list[str], message: str, command: Command, tmp_path: Path
) -> None:
    images, labels = np.zeros((60, 28, 28), dtype=np.uint8), np.arange(60) % 10
    np.savez(tmp_path / "all.npz", x=images, y=labels)
    np.savez(tmp_path / "sorted.npz", x=images, y=np.sort(labels))
    np.savez(tmp_path / "mnist.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    many, bright = np.arange(600) % 10, np.full((600, 784), 200, dtype=np.uint8)
    np.savez(tmp_path / "halves.npz", x=bright, y=np.concatenate([many[:500], np.full(100, 5)]))
    np.savez(tmp_path / "last.npz", x=bright, y=np.zeros(600, dtype=int))
    np.savez(tmp_path / "binary.npz", x=bright > 100, y=many)
    outputs = tmp_path / "outputs"
    outcome = command(
        "train", f"outputs_dir={outputs}", *(one.replace("{tmp}", str(tmp_path)) for one in typed), code=2
    )
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not outputs.exists()
