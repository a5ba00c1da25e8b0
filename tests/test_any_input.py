"""Whatever a file or a setting holds, it is read rightly or refused in one line; many are tried, the same each time."""

import gzip
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Train, settings
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from image_files import csv, idx, mat, npz
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from PIL import Image

from digits import runs
from digits.command_line import all_settings, as_typed, checked, explain
from digits.config.train import TrainConfig
from digits.data import sources
from digits.errors import UserError
from digits.files import ROOT
from digits.formats.npz import read_images
from digits.handwriting.labelled import find_labelled
from digits.handwriting.load import brightness, open_picture
from digits.models.build import build_network
from digits.reading.reader import SHIPPED, Reader
from digits.training import checkpoints, resume
from digits.training.classifier import DigitClassifier
from digits.training.interrupt import seconds

pytestmark = pytest.mark.slow

TRIED = trying(max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
PICTURES = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "AVIF", "JPEG2000", "ICO", "TGA", "PCX", "SGI")
IMAGES = np.arange(3 * 784, dtype=np.uint8).reshape(3, 28, 28)
LABELS = np.array([1, 2, 3], dtype=np.uint8)


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(IMAGES[0][:12, :10]).convert("RGB").save(file, format=kind)
    return file.getvalue()


@dataclass(frozen=True)
class Kind:
    """A kind of file: how one begins that is whole, and what reads it."""

    name: str
    whole: bytes
    read: Callable[[Path], object]
    file: str = "given"


def of_runs(folder: Path) -> list[Kind]:
    """What a run's folder has."""
    made = settings("model=sigmoid")
    model = DigitClassifier(build_network(made.model), made)
    checkpoint = (folder / runs.LAST_CHECKPOINT).read_bytes()
    small = io.BytesIO()
    parts = torch.load(io.BytesIO(checkpoint), weights_only=True)
    torch.save({**parts, "state_dict": {key: torch.zeros(2) for key in parts["state_dict"]}}, small)
    return [
        Kind("checkpoint", small.getvalue(), lambda path: checkpoints.restore(model, made.model, path)),
        Kind(
            "config",
            (folder / runs.CONFIG_FILE).read_bytes(),
            lambda path: resume.load_settings(path.parent),
            runs.CONFIG_FILE,
        ),
        Kind(
            "metrics",
            (folder / runs.METRICS_FILE).read_bytes(),
            lambda path: runs.read_metrics(path.parent),
            runs.METRICS_FILE,
        ),
    ]


def as_images(path: Path) -> object:
    return sources.read(str(path), str(path), None)  # the same for the test


def as_network(path: Path) -> object:
    found = Reader(path)
    return found.threshold, found.probabilities(np.zeros((2, 28, 28), dtype=np.float32))


STRANGERS = [
    *(Kind(kind, picture(kind), lambda path: brightness(open_picture(path).image)) for kind in PICTURES),
    Kind("idx", idx(IMAGES), as_images),
    Kind("csv", csv(IMAGES, LABELS).encode(), as_images),
    Kind("csv.gz", gzip.compress(csv(IMAGES, LABELS).encode()), as_images),
    Kind("mat", mat(compress=True, data=IMAGES.reshape(3, 784).T, label=LABELS), as_images),
    Kind("npz", npz(x=IMAGES, y=LABELS), as_images),
    Kind("npz of images", npz(x=IMAGES, y=LABELS), read_images, "given.npz"),
    Kind("npz of labelled images", npz(x=IMAGES, y=LABELS), lambda path: find_labelled(str(path)), "given.npz"),
    Kind("onnx", SHIPPED.read_bytes(), as_network),
]


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """The content with some bytes changed, taken out, doubled, or cut off; or anything."""
    place = st.integers(0, len(whole))
    # mostly near the beginning, where the headers are
    near = st.integers(0, min(200, len(whole)))
    change = st.tuples(st.one_of(near, place), st.integers(0, 8), st.binary(max_size=8))

    def changed(changes: list[tuple[int, int, bytes]], end: int) -> bytes:
        content = whole[:end]
        for start, removed, put in changes:
            content = content[:start] + put + content[start + removed :]
        return content

    ends = st.one_of(st.just(len(whole)), place)
    return st.one_of(st.builds(changed, st.lists(change, max_size=4), ends), st.binary(max_size=300))


def is_read_or_refused(kind: Kind, content: bytes, folder: Path) -> None:
    path = folder / kind.file
    path.write_bytes(content)
    line = str(folder)
    try:
        kind.read(path)
    except UserError as error:
        line = str(error)
    assert "\n" not in line
    assert str(folder) in line


def always_read_or_refused(kind: Kind, folder: Path) -> None:
    @TRIED
    @given(damaged(kind.whole))
    def holds(content: bytes) -> None:
        is_read_or_refused(kind, content, folder)

    holds()


@pytest.mark.parametrize("kind", STRANGERS, ids=lambda kind: kind.name)
def test_a_damaged_file_is_read_or_refused_in_one_line(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / kind.file).write_bytes(kind.whole)
    if kind.name == "idx":  # whose labels are beside it
        (tmp_path / "labels").write_bytes(idx(LABELS))
    else:
        kind.read(tmp_path / kind.file)

    always_read_or_refused(kind, tmp_path)


def test_what_is_damaged_in_a_runs_folder_is_read_or_refused_in_one_line(fit_tiny: Train, tmp_path: Path) -> None:
    for kind in of_runs(fit_tiny("model=sigmoid")):
        always_read_or_refused(kind, tmp_path)


def is_no_quoted_one(name: str) -> bool:
    return name != "null" and name[0] not in "'\"["


@TRIED
@given(st.one_of(st.text(min_size=1, max_size=30), st.text("a${}\\'\",: ", min_size=1)).filter(is_no_quoted_one))
def test_any_name_of_a_file_is_taken_as_typed(name: str) -> None:
    typed = as_typed(f"img={name}")
    config = OmegaConf.create({"img": ""})
    OmegaConf.update(config, "img", OverridesParser.create().parse_override(typed).value())
    assert config.img == name


@TRIED
@given(st.integers(0, 99), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_is_its_seconds(days: int, hours: int, minutes: int, rest: int) -> None:
    whole = timedelta(days=days, hours=hours, minutes=minutes, seconds=rest)
    assert seconds(f"{days}:{hours:02}:{minutes:02}:{rest:02}") == whole.total_seconds()
    assert seconds(f"{minutes}:{rest:02}") == 60 * minutes + rest


KEYS = sorted(all_settings(TrainConfig))
VALUES = st.one_of(
    st.integers(-(2**40), 2**40).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["null", "true", "[]", "[1,2]", "{a:1}", "auto", "shipped", "${seed}", "${oc.env:HOME}", "0:00", "''"]
    ),
    st.text("abcxyz019.-_[]{}(),:=$'\"/\\ ", max_size=12),
)


def test_any_setting_is_taken_or_refused_in_one_line() -> None:
    tried = {"taken": 0, "refused": 0}

    @trying(TRIED, max_examples=30)
    @given(st.lists(st.tuples(st.sampled_from(KEYS), VALUES), min_size=1, max_size=2))
    def holds(changes: list[tuple[str, str]]) -> None:
        typed = [as_typed(f"{key}={value}") for key, value in changes]
        try:
            with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
                assert isinstance(checked(compose("train", overrides=typed), TrainConfig), TrainConfig)
            tried["taken"] += 1
            return
        except UserError as error:
            line = str(error)
        except (HydraException, OmegaConfBaseException) as error:
            line = explain(error, TrainConfig)
        except ValueError as error:  # the only other one, which command_line.run answers
            line = str(error)
            assert line.startswith("Config group override must be")
        tried["refused"] += 1
        assert re.fullmatch(r"[^\n]+", line), line

    holds()
    assert min(tried.values()) > 0
