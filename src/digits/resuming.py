"""Go on with a run: which checkpoint, and with which settings."""

import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from digits import runs
from digits.command_line import checked
from digits.config import ModelConfig, TrainConfig
from digits.errors import UserError
from digits.models.classifier import DigitClassifier

CHANGEABLE = ("data.chunk_size", "data.dir", "outputs_dir", "resume", "run_name", "trainer")
"""Settings, or groups, that a run may go on with other values of; the others would make it another run."""


def find(settings: TrainConfig) -> Path | None:
    """Give the checkpoint that `resume` names, None where the run starts anew.

    Raises:
        UserError: if there is no such checkpoint.
    """
    if settings.resume is None:
        return None
    if settings.resume == "auto":
        newest = runs.newest_unfinished(settings.outputs_dir, settings.model.name)
        return newest and newest / runs.LAST_CHECKPOINT
    path = Path(settings.resume).expanduser().resolve()
    checkpoint = path / runs.LAST_CHECKPOINT if path.is_dir() else path
    if not checkpoint.is_file():
        raise UserError(f"resume={settings.resume}: there is no {checkpoint}; give the folder of a run, or auto")
    return checkpoint


def continued(settings: TrainConfig, overrides: list[str], checkpoint: Path) -> TrainConfig:
    """Give the settings that the checkpoint's run was made with, changed where the user may change them.

    Args:
        settings: the config of this command.
        overrides: what the user typed.
        checkpoint: in the folder checkpoints/ of a run.

    Raises:
        UserError: if the user typed a setting that would make it another run, or it has its epochs already.
    """
    folder = checkpoint.parents[1]
    saved, given = load_config(folder), OmegaConf.structured(settings)
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        now, then = OmegaConf.select(given, key), OmegaConf.select(saved, key)
        if key.split(".")[0] in CHANGEABLE or key in CHANGEABLE:
            OmegaConf.update(saved, key, now)
        elif now != then:
            was = then.name if isinstance(then, DictConfig) else then
            raise UserError(f"{override}: the run {folder} was made with {key}={was} and goes on with it; leave it out")
    merged = checked(saved, TrainConfig)
    done = load(checkpoint, merged.model)["epoch"] + 1
    asked = merged.trainer.max_epochs
    if done > asked or (done == asked and (folder / runs.MODEL_FILE).exists()):
        raise UserError(f"trainer.max_epochs={asked}: the run {folder} has {done} epochs already; give more")
    return merged


def load_config(folder: Path) -> DictConfig:
    """Read a run's config.yaml.

    Raises:
        UserError: if it is not there or is damaged.
    """
    path = folder / runs.CONFIG_FILE
    try:
        config = OmegaConf.load(path)
    except (OSError, UnicodeDecodeError, YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{folder}: is not the folder of a run; {path} cannot be read") from error
    if not isinstance(config, DictConfig):
        raise UserError(f"{path}: is not the config of a run")
    config.pop("defaults", None)
    return config


def load(path: Path, model: ModelConfig) -> dict[str, Any]:
    """Read a checkpoint, plain values and weights only, so that a stranger's can run no code.

    Raises:
        UserError: if it is damaged, is no checkpoint of this project, or is another network's.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = checkpoint["hyper_parameters"]["model"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(f"{path}: is damaged, or is not a checkpoint of this project") from error
    if found != asdict(model):
        raise UserError(f"{path}: is a checkpoint of {found}, this is {asdict(model)}")
    return checkpoint


def restore(model: DigitClassifier, config: ModelConfig, path: Path) -> None:
    """Give a network the weights of a checkpoint.

    Raises:
        UserError: if the checkpoint is damaged or another network's.
    """
    checkpoint = load(path, config)
    try:
        model.load_state_dict(checkpoint["state_dict"])
        model.on_load_checkpoint(checkpoint)
    except (RuntimeError, KeyError, TypeError) as error:
        raise UserError(f"{path}: has other weights than {config.name}") from error
