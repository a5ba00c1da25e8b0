"""The training and test images that `data.path` names: which files they are in, and where one file is cut in two."""

from pathlib import Path

import numpy as np

from digits.errors import UserError
from digits.formats import csv, idx, mat, npz
from digits.formats.images import ImageSet, format_of, unpacked

SEVERAL = 100
"""Images; of so many, all digits are there and some ink."""

EXPECTED = "give data.test_path=FILE, or data.test_size=N to test with its last N images"


def read(path: str, test_path: str | None, test_size: int | None) -> tuple[ImageSet, ImageSet]:
    """Read the training images and the test images.

    Args:
        path: a file, or a folder with MNIST's four IDX files or others of these names.
        test_path: the file of the test images, where they are not in `path`.
        test_size: how many images at the end of `path` are for the test, where they are in it without a mark.

    Raises:
        UserError: if a file cannot be read or is not as it must be, or there are no test images.
    """
    file = Path(path)
    if file.is_dir():
        if test_path or test_size:
            raise UserError(
                f"data.path={path}: is a folder, which has its test images; leave test_path and test_size out"
            )
        return _only(_find(file, "train"), "data.path"), _only(_find(file, "t10k"), "data.path")
    train, *test = _read(file, "data.path")
    _check(train, path)
    if test_path is not None:
        if test:
            raise UserError(f"data.test_path={test_path}: {path} has test images of its own; leave data.test_path out")
        return train, _only(Path(test_path), "data.test_path")
    if test:
        if test_size is not None:
            raise UserError(f"data.test_size={test_size}: {path} has test images of its own; leave data.test_size out")
        return train, test[0]
    if test_size is None:
        raise UserError(f"data.path={path}: has no test images of its own; {EXPECTED}")
    return _cut(train, test_size, path)


def _check(images: ImageSet, path: str) -> None:
    """Refuse what can be read, but is surely not what was meant."""
    if len(images.labels) < SEVERAL:
        return
    if (images.labels == images.labels[0]).all():
        raise UserError(
            f"data.path={path}: all its labels are {images.labels[0]}; in CSV, the label is the first value"
        )
    if images.images.max() <= 1:
        raise UserError(f"data.path={path}: its pixels are 0 and 1; must be 0 to 255, so multiply them by 255")


def _find(folder: Path, half: str) -> Path:
    files = sorted(file for file in folder.glob(f"{half}-images?idx3-ubyte*") if file.is_file())
    if not files:
        raise UserError(f"data.path={folder}: has no {half}-images-idx3-ubyte or {half}-images-idx3-ubyte.gz")
    return files[0]


def _only(path: Path, setting: str) -> ImageSet:
    images, *others = _read(path, setting)
    if others:
        raise UserError(f"{setting}={path}: has training and test images; give it as data.path, without data.test_path")
    return images


def _cut(both: ImageSet, test_size: int, path: str) -> tuple[ImageSet, ImageSet]:
    count = len(both.labels)
    if test_size >= count:
        raise UserError(f"data.test_size={test_size}: must be 1 to {count - 1}; {path} has {count} images")
    train = ImageSet(both.images[:-test_size], both.labels[:-test_size])
    test = ImageSet(both.images[-test_size:], both.labels[-test_size:])
    in_order = both.labels[0] != both.labels[-1] and (np.diff(both.labels) >= 0).all()
    if in_order or (test_size >= SEVERAL and not np.isin(train.labels, test.labels).all()):
        digits = ", ".join(map(str, np.unique(test.labels)))
        raise UserError(f"data.path={path}: its last {test_size} images are of {digits} only; shuffle it, or take more")
    return train, test


def _read(path: Path, setting: str) -> list[ImageSet]:
    """Read a file: its images, or its training images and its test images."""
    if not path.is_file():
        raise UserError(f"{setting}={path}: there is no such file of images")
    content = unpacked(path)
    kind = format_of(content, path)
    if kind == "npz":
        return npz.read(content, path)
    return [{"mat": mat.read, "csv": csv.read, "idx": _pair}[kind](content, path)]


def _pair(content: bytes, path: Path) -> ImageSet:
    """Read the images of an IDX file, and the labels beside it."""
    images = idx.read(content, path)
    if images.ndim == 1:
        raise UserError(f"{path}: has the labels of an IDX pair; give the file of the images")
    partner = _partner(path)
    content = unpacked(partner)
    if format_of(content, partner) != "idx" or (labels := idx.read(content, partner)).ndim != 1:
        raise UserError(f"{partner}: is not an IDX file of labels")
    if len(labels) != len(images):
        raise UserError(f"{partner}: has {len(labels)} labels; must have {len(images)}, as {path} has images")
    return ImageSet(images, labels.astype(np.int64))


def _partner(images: Path) -> Path:
    """Find the file of the labels that go with an IDX file of images: by its name, gzipped or not."""
    own = images.name.removesuffix(".gz")
    name = own.replace("images", "labels").replace("idx3", "idx1")
    if name == own:
        expected = "its name must have images in it, and that of its labels labels in the same place"
        raise UserError(f"{images}: is an IDX file of images; {expected}")
    for partner in (images.with_name(name), images.with_name(f"{name}.gz")):
        if partner.is_file():
            return partner
    raise UserError(f"{images}: is an IDX file of images; its labels must be beside it, as {name} or {name}.gz")
