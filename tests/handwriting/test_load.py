"""Pictures of every kind become brightness, and files that are none get one clear line."""

import logging
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digits.errors import UserError
from digits.handwriting import load as module
from digits.handwriting.load import brightness as brightness_of
from digits.handwriting.load import open_picture


def load(path: Path) -> NDArray[np.float32]:
    return brightness_of(open_picture(path).image)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "I;16", "F"])
def test_every_mode_is_read(tmp_path: Path, mode: str) -> None:
    grey = Image.new("L", (40, 60), 255)
    grey.paste(0, (10, 10, 20, 50))
    through = grey.convert("RGB") if mode == "HSV" else grey
    picture = Image.fromarray(np.asarray(grey).astype("<u2") * 257) if mode == "I;16" else through.convert(mode)
    suffix = ".png" if mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else ".tiff"
    if mode == "HSV":
        picture, suffix = picture.convert("RGB"), ".bmp"
    picture.save(tmp_path / f"picture{suffix}")
    brightness = load(tmp_path / f"picture{suffix}")
    assert brightness.shape == (60, 40)
    assert brightness.dtype == np.float32
    assert brightness[30, 15] < 20
    assert brightness[30, 30] > 235


@pytest.mark.parametrize("largest", [255, 65535, 10_000_000])
def test_whole_numbers_keep_their_scale(tmp_path: Path, largest: int) -> None:
    values = np.zeros((40, 60), dtype=np.int32)
    values[10:20, 10:20] = largest
    Image.fromarray(values).save(tmp_path / "numbers.tiff")
    assert load(tmp_path / "numbers.tiff").max() == pytest.approx(255)


def test_numbers_below_zero_are_the_darkest(tmp_path: Path) -> None:
    values = np.full((40, 60), -10.0, dtype=np.float32)
    values[10:20, 10:20] = -255
    Image.fromarray(values).save(tmp_path / "numbers.tiff")
    assert np.unique(load(tmp_path / "numbers.tiff")).tolist() == [0, 245]


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    picture = Image.new("L", (6000, 4000), 255)
    picture.paste(0, (0, 0, 6000, 1000))  # dark along the top, stored lying on its side
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to see it upright
    picture.save(tmp_path / "photo.jpg", exif=exif)
    opened = open_picture(tmp_path / "photo.jpg")
    assert (opened.width, opened.height) == (4000, 6000)
    assert opened.reduction == pytest.approx(6000 / opened.image.height, rel=0.01)
    brightness = brightness_of(opened.image)
    assert brightness[:, round(0.8 * opened.image.width) :].mean() < 50
    assert brightness[:, : round(0.7 * opened.image.width)].mean() > 200


@pytest.mark.parametrize("alpha", [30, 90, 127, 200, 255])
def test_half_transparent_ink_is_ink(tmp_path: Path, alpha: int) -> None:
    drawing = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    drawing.paste((0, 0, 0, alpha), (10, 10, 20, 30))
    drawing.save(tmp_path / "pale.png")
    brightness = load(tmp_path / "pale.png")
    assert abs(brightness[20, 15] - brightness[2, 2]) > 200


def test_a_transparent_margin_is_paper(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    picture.paste((30, 30, 30, 255), (10, 10, 50, 50))
    picture.paste((250, 250, 250, 255), (25, 15, 30, 45))
    picture.save(tmp_path / "patch.png")
    brightness = load(tmp_path / "patch.png")
    assert brightness[2, 2] == brightness[12, 12] == 30
    assert brightness[30, 27] == 250


def test_a_link_that_leads_to_itself_keeps_no_other_from_being_found(tmp_path: Path) -> None:
    Image.new("L", (28, 28), 200).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("b.png")
    files, errors = module.find_pictures([tmp_path])
    assert ([file.name for file in files], errors) == (["a.png", "b.png"], [])
    with pytest.raises(UserError, match=r"b\.png: cannot be read"):
        open_picture(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("colours", "ground"), [(((0, 0, 0), (200, 0, 0)), 255), (((255, 255, 255), (250, 220, 0)), 0)]
)
def test_strokes_of_several_colours_lie_on_what_they_stand_out_from(
    tmp_path: Path, colours: tuple[tuple[int, int, int], ...], ground: int
) -> None:
    picture = Image.new("RGBA", (120, 60), (255, 255, 255, 0))
    for number, colour in enumerate(colours):
        picture.paste((*colour, 255), (20 + 60 * number, 10, 28 + 60 * number, 50))
    picture.save(tmp_path / "strokes.png")
    brightness = load(tmp_path / "strokes.png")
    assert brightness[30, 60] == brightness[2, 2] == ground
    assert min(abs(brightness[30, column] - ground) for column in (24, 84)) > 150


def test_a_large_picture_is_reduced_while_it_is_read(tmp_path: Path) -> None:
    Image.new("L", (5000, 3000), 200).save(tmp_path / "large.png")
    Image.new("P", (5000, 3000), 3).save(tmp_path / "palette.png")
    Image.new("L", (5000, 3000), 200).save(tmp_path / "large.jpg")
    for name in ("large.png", "palette.png", "large.jpg"):
        assert max(load(tmp_path / name).shape) <= module.MAX_SIDE


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\x00" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def truncated(tmp_path: Path) -> bytes:
    Image.effect_noise((100, 100), 50).save(tmp_path / "whole.jpg")
    return (tmp_path / "whole.jpg").read_bytes()[:900]


BAD: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "empty": (lambda _: b"", "is empty"),
    "text": (lambda _: b"this is no picture", "is not a picture that can be read"),
    "truncated": (truncated, "cannot be read|is damaged"),
    "one pixel": (lambda _: png(1, 1), "has 1x1 pixels; a digit needs at least 4 on the longer side"),
    "bomb": (lambda _: png(30_000, 30_000), "too many pixels|has 30000x30000 pixels; at most"),
    "missing pixels": (lambda _: png(500, 500), "cannot be read|is damaged"),
    "no pixels": (lambda _: png(0, 0), "is not a picture|is damaged|cannot be read"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_line(tmp_path: Path, kind: str) -> None:
    content, message = BAD[kind]
    path = tmp_path / "bad.png"
    path.write_bytes(content(tmp_path))
    with pytest.raises(UserError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_or_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "gone.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UserError, match="is not a file"):
        load(tmp_path / "pipe.png")


def test_nothing_but_the_error_is_said_of_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "eight.tiff"
    Image.new("RGB", (40, 40)).save(path)
    three, eight = (struct.pack("<HHIH", 277, 3, 1, samples) for samples in (3, 8))  # SamplesPerPixel
    path.write_bytes(path.read_bytes().replace(three, eight))
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's; without, Python prints what is logged
    with pytest.raises(UserError, match=r"eight\.tiff: is not a picture"):
        load(path)
    assert capsys.readouterr().err == ""
