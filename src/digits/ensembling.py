"""Several runs as one model.onnx: calibrated on what they all were validated with, and tested."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import onnx
import torch
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn import functional as F

from digits import calibration, resuming, runs
from digits.config import EnsembleConfig, TrainConfig
from digits.data.chunks import ResidentImages
from digits.data.config import DataConfig
from digits.data.datamodule import MNISTDataModule
from digits.errors import UserError
from digits.reading.export import LEAST, mean_of
from digits.reading.reader import Reader, find_model
from digits.runs import shown
from digits.tracking.console import log, logging_to
from digits.training import metadata_of

ALIKE = ("path", "test_path", "test_size", "val_size", "split_seed")
"""Settings of the data that say which images the runs were validated and are tested with."""


def ensemble(config: EnsembleConfig) -> Path:
    """Put the networks together; gives the folder.

    Raises:
        UserError: if a run is not there or not finished, or they were not validated on the same images.
    """
    folders = [Path(run).expanduser().resolve() for run in config.runs]
    try:
        readers = [Reader(find_model(str(folder), config.outputs_dir)) for folder in folders]
    except UserError as error:
        raise UserError(str(error).replace("run=", "runs=", 1)) from error
    settings = [resuming.load_settings(folder) for folder in folders]
    data = MNISTDataModule(_shared(folders, settings), settings[0].augment, [settings[0].seed])
    data.setup("test")
    folder = runs.create(config.outputs_dir, "ensemble", config.run_name)
    with logging_to(folder / "train.log"):
        log.info("one network of %d: %s", len(folders), ", ".join(map(shown, folders)))
        found, figures = calibration.calibrate(partial(_logits, readers), data)
        figures |= _tested(readers, data.test_set, found.temperature)
        text = OmegaConf.to_yaml({"runs": [str(one) for one in folders]})
        runs.write_text(folder / "ensemble.yaml", text)
        runs.write_text(folder / runs.METRICS_JSON, json.dumps(figures, indent=2) + "\n")
        mean = mean_of([onnx.load(one.path, load_external_data=False) for one in readers], found.temperature)
        onnx.helper.set_model_props(mean, metadata_of("ensemble", text, figures))
        with runs.whole(folder / runs.MODEL_FILE) as temporary:
            onnx.save(mean, temporary)
        alone = figures["test/members/accuracy"]
        log.info("test accuracy  %.2f %%; each alone %.2f %%", 100 * figures["test/accuracy"], 100 * alone)
        log.info("run            %s", shown(folder))
    return folder


def _shared(folders: Sequence[Path], settings: Sequence[TrainConfig]) -> DataConfig:
    """Give the settings of the images, which all runs must share."""
    first = settings[0].data
    for folder, others in zip(folders, settings, strict=True):
        for key in ALIKE:
            mine, other = getattr(first, key), getattr(others.data, key)
            if mine != other:
                right = f"{mine}, as in {folders[0]}: the ensemble is validated on what all of them held out"
                raise UserError(f"runs={folder}: has data.{key}={other}; must be {right}")
    return replace(first, mine_share=0.0)


def _logits(readers: Sequence[Reader], images: ResidentImages) -> Tensor:
    """Give the logarithms of the mean probabilities, float32 [N, 10]."""
    return _logarithms(_probabilities(readers, images))


def _probabilities(readers: Sequence[Reader], images: ResidentImages) -> Tensor:
    """Give those of each network, float32 [networks, N, 10]."""
    return torch.stack([torch.from_numpy(one.probabilities(images.images.numpy())) for one in readers])


def _logarithms(probabilities: Tensor) -> Tensor:
    """Give those of the mean over the networks."""
    return probabilities.mean(dim=0).clamp(min=LEAST).log()


def _tested(readers: Sequence[Reader], images: ResidentImages, temperature: float) -> dict[str, float]:
    """Give the figures of the test, by their tags."""
    labels = images.labels
    each = _probabilities(readers, images)
    logits = _logarithms(each)
    before, after = logits.softmax(dim=1), (logits / temperature).softmax(dim=1)
    return {
        "test/accuracy": float((logits.argmax(dim=1) == labels).float().mean()),
        "test/loss": float(F.cross_entropy(logits, labels)),
        "test/members/accuracy": float((each.argmax(dim=2) == labels).float().mean()),
        **calibration.figures(before, labels, "test/uncalibrated"),
        **calibration.figures(after, labels, "test/calibrated"),
    }
