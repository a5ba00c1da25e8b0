"""The event file of a run holds what the README promises."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command, Train, settings
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.tensorflow_stub.io.gfile import LocalFileSystem
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from digits.training.run import train

SCALARS = {
    "train/loss",
    "train/accuracy",
    "train/learning_rate",
    "train/images_per_second",
    "val/loss",
    "val/accuracy",
    "test/loss",
    "test/accuracy",
    "val/temperature",
    "val/reject_below",
    "val/mnist_rejected",
    "test/uncalibrated/ece",
    "test/uncalibrated/nll",
    "test/calibrated/ece",
    "test/calibrated/nll",
    "test/rejected",
}
SYNTHETIC = {"val/synthetic_accuracy", "val/synthetic_loss", "val/synthetic_rejected", "val/negatives_rejected"}
IMAGES = {
    "train/batch",
    "val/confusion_matrix",
    "test/confusion_matrix",
    "test/first_ten",
    "test/misread",
    "test/reliability",
    "model/first_layer",
}


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    events.Reload()
    return events


def content(events: EventAccumulator, plugin: str) -> dict[str, bytes]:
    found: dict[str, bytes] = events.summary_metadata and {
        tag: metadata.plugin_data.content
        for tag, metadata in events.summary_metadata.items()
        if metadata.plugin_data.plugin_name == plugin
    }
    return found


@pytest.fixture(scope="module")
def folder(tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("outputs")
    typed = [*tiny, f"outputs_dir={outputs}", "trainer.max_epochs=2", "data.batch_size=32", "data.chunk_size=4"]
    return train(settings(*typed), typed)


def test_the_event_file_holds_every_tag(folder: Path) -> None:
    events = read(folder)
    tags = events.Tags()
    assert set(tags["scalars"]) == SCALARS
    assert set(tags["images"]) == IMAGES
    assert set(content(events, "pr_curves")) == {f"test/pr_curve/{digit}" for digit in range(10)}
    assert set(content(events, "text")) == {"config/text_summary", "test/digits/text_summary"}


def test_drawn_digits_have_their_own_tags(train_tiny: Train) -> None:
    tags = read(train_tiny("data.synthetic_fraction=0.25", "data.negative_fraction=0.1")).Tags()
    assert set(tags["scalars"]) == SCALARS | SYNTHETIC
    assert set(tags["images"]) == IMAGES | {"data/synthetic"}


def test_the_axis_counts_optimizer_steps(folder: Path) -> None:
    events = read(folder)

    def steps(tag: str) -> list[int]:
        return [event.step for event in events.Scalars(tag)]

    assert steps("train/loss") == steps("train/accuracy") == [4, 8, 12, 16, 20, 24, 28, 32]
    assert steps("val/accuracy") == steps("train/images_per_second") == [16, 32]
    assert [event.step for event in events.Images("val/confusion_matrix")] == [16, 32]
    assert steps("test/accuracy")[0] in (16, 32)


def text(events: EventAccumulator, tag: str) -> str:
    decoded: str = events.Tensors(tag)[0].tensor_proto.string_val[0].decode()
    return decoded


def test_the_config_and_the_digits_are_texts(folder: Path) -> None:
    events = read(folder)
    assert "batch_size: 32" in text(events, "config/text_summary")
    table = [line.split("|")[1:-1] for line in text(events, "test/digits/text_summary").splitlines()]
    assert [cell.strip() for cell in table[0]] == ["digit", "TP", "FP", "FN", "TN", "precision", "recall", "F1"]
    counts = np.array([[float(cell) for cell in row] for row in table[2:12]])
    assert counts[:, 0].tolist() == list(range(10))
    hits, false_alarms, missed, rest = counts[:, 1:5].T
    assert (hits + missed).tolist() == [42, 67, 55, 45, 55, 50, 43, 49, 40, 54]
    assert set(hits + false_alarms + missed + rest) == {500}
    accuracy = events.Scalars("test/accuracy")[0].value
    assert hits.sum() / 500 == pytest.approx(accuracy)
    read_as = hits + false_alarms
    np.testing.assert_allclose(counts[:, 5], np.where(read_as, hits / np.maximum(read_as, 1), 0), atol=5e-5)
    np.testing.assert_allclose(counts[:, 6], hits / (hits + missed), atol=5e-5)
    (mean,) = table[12:]
    assert mean[0].strip() == "mean"
    np.testing.assert_allclose([float(cell) for cell in mean[5:]], counts[:, 5:].mean(axis=0), atol=1e-4)


def test_hparams_have_the_test_as_their_metric(folder: Path) -> None:
    def plugin(tag: str) -> HParamsPluginData:
        return HParamsPluginData.FromString(content(read(folder), "hparams")[tag])

    metrics = {info.name.tag for info in plugin("_hparams_/experiment").experiment.metric_infos}
    assert metrics == {"test/accuracy", "test/loss"}
    settings: Any = plugin("_hparams_/session_start_info").session_start_info.hparams
    assert settings["model.name"].string_value == "lenet5"
    assert settings["data.batch_size"].number_value == 32


def test_a_full_disk_is_one_line(
    command: Command, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LocalFileSystem, "_write", full)
    outcome = command("train", *tiny, f"outputs_dir={tmp_path}", "run_name=full", code=2)
    assert outcome.err.splitlines()[-1] == f"error: {tmp_path / 'lenet5' / 'full'}: No space left on device"
    assert "Traceback" not in outcome.err
