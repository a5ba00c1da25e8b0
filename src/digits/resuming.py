"""Go on with a run, or start from a finished network: with which settings, and whether all that it needs is whole."""

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digits import runs
from digits.checkpoints import load
from digits.command_line import checked
from digits.config import NAMED, WITHOUT_INFLUENCE, TrainConfig, result_settings
from digits.errors import UserError, require_one_of
from digits.models.classifier import in_an_epoch, whole_epochs
from digits.models.config import ModelConfig
from digits.reading.reader import SHIPPED, Reader, find_model

log = logging.getLogger("digits")

CHANGEABLE = (*WITHOUT_INFLUENCE, "trainer")
"""Settings, or groups, that a run may go on with other values of; the others would make it another run."""

LARGEST_CONFIG, MOST_LISTS = 20_000, 100
"""Characters and brackets of a run's config; ours have under 2,000, and hardly a bracket."""


def find(settings: TrainConfig, overrides: list[str]) -> Path | None:
    """Give the checkpoint that `resume` names, None where the run starts anew.

    Args:
        settings: the config of this command.
        overrides: what the user typed; auto keeps to the model if one is named there.

    Raises:
        UserError: if there is no such checkpoint, or it is not in the folder of a run.
    """
    if settings.resume is None:
        return None
    if settings.resume == "auto":
        model = settings.model.name if any(one.startswith("model=") for one in overrides) else "*"
        newest = runs.newest_unfinished(settings.outputs_dir, model)
        return newest and newest_whole(newest)
    path = Path(settings.resume).expanduser().resolve()
    checkpoint = newest_whole(path) if path.is_dir() else path
    if not checkpoint.is_file():
        raise UserError(f"resume={settings.resume}: there is no {checkpoint}; give the folder of a run, or auto")
    if not (checkpoint.parent.parent / runs.CONFIG_FILE).is_file():
        raise UserError(f"resume={settings.resume}: is not in the folder of a run; give such a folder, or auto")
    return checkpoint


def newest_whole(folder: Path) -> Path:
    """Give the newest checkpoint of a run; the one before where that is damaged, which it says.

    Raises:
        UserError: if both are.
    """
    last, previous = (folder / one for one in runs.RESUMABLE)
    if not previous.is_file():
        return last
    if not last.is_file():  # stopped between giving the one its name and the other
        return previous
    model = load_settings(folder).model
    try:
        load(last, model)
    except UserError as error:
        load(previous, model)
        log.warning("%s; taking the one before, %s", error, previous.name)
        return previous
    return last


def continued(settings: TrainConfig, overrides: list[str], checkpoint: Path) -> TrainConfig:
    """Give the settings that the checkpoint's run was made with, changed where the user may change them.

    Args:
        settings: the config of this command.
        overrides: what the user typed.
        checkpoint: in the folder checkpoints/ of a run.

    Raises:
        UserError: if the user typed a setting that would make it another run, it has its epochs already, or something
            that it needs is missing or damaged.
    """
    folder = checkpoint.parent.parent
    made_with = load_settings(folder)
    last = load(checkpoint, made_with.model)
    done = whole_epochs(last)
    changeable = set(CHANGEABLE) - ({"data.chunk_size"} if in_an_epoch(last) else set())
    saved, given = OmegaConf.structured(made_with), OmegaConf.structured(settings)
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key == "experiment" and _shapes(settings) != _shapes(made_with):
            raise UserError(
                f"{override}: the run {folder} was made of other settings and goes on with them; leave it out"
            )
        now, then = OmegaConf.select(given, key), OmegaConf.select(saved, key)
        if key.split(".")[0] in changeable or key in changeable:
            OmegaConf.update(saved, key, now)
        elif (now.name != then.name) if isinstance(then, DictConfig) else (now != then):
            was = then.name if isinstance(then, DictConfig) else then
            raise UserError(f"{override}: the run {folder} was made with {key}={was} and goes on with it; leave it out")
    merged = checked(saved, TrainConfig)
    asked = merged.trainer.max_epochs
    if done > asked or (done == asked and (folder / runs.MODEL_FILE).exists()):
        raise UserError(f"trainer.max_epochs={asked}: the run {folder} has {done} epochs already; give more")
    if done and merged.data.val_size:
        load(folder / runs.BEST_CHECKPOINT, merged.model)
    rows = runs.read_metrics(folder)
    if len(rows) < done:
        raise UserError(
            f"{folder / runs.METRICS_FILE}: has {len(rows)} epochs, not the checkpoint's {done}; restore it"
        )
    return merged


def _shapes(settings: TrainConfig) -> dict[str, Any]:
    """Give what a run cannot go on with other values of."""
    return {key: value for key, value in result_settings(settings).items() if key.split(".")[0] not in CHANGEABLE}


def first_step(checkpoint: Path, settings: TrainConfig) -> int:
    """Give the first optimizer step, from 1, of the epoch that a run goes on with; its figures are written anew."""
    done = whole_epochs(load(checkpoint, settings.model))
    return 1 + (int(runs.read_metrics(checkpoint.parent.parent)[done - 1]["step"]) if done else 0)


def started(settings: TrainConfig, overrides: list[str]) -> TrainConfig:
    """Give the settings of a new run that starts from a network: with what `model` that is, and where it was found.

    Args:
        settings: the config of this command; `start_from` is not null.
        overrides: what the user typed.

    Raises:
        UserError: if there is no such network, it does not say what it is, or the user typed that it is another one.
    """
    asked = settings.start_from
    try:
        newest = runs.newest_trained(settings.outputs_dir)
        path = find_model(str(newest or "shipped") if asked == "auto" else asked, settings.outputs_dir)
        model = _network(Reader(path))
    except UserError as error:
        raise UserError(str(error).replace("run=", "start_from=", 1)) from error
    for override in overrides:
        group = override.lstrip("+~").partition("=")[0].partition(".")[0]
        if group == "model" and settings.model != model:
            raise UserError(f"{override}: start_from={asked} is another network, {asdict(model)}; leave it out")
    found = "shipped" if path == SHIPPED else str(path.parent)
    return replace(settings, model=model, start_from=found if asked == "auto" else asked)


def _network(reader: Reader) -> ModelConfig:
    """Say what network a model.onnx is, from the config in it.

    Raises:
        UserError: if it does not say so, or says it otherwise than train.py.
    """
    try:
        config = _parsed(reader.metadata.get("config", ""))
        name = OmegaConf.select(config, "model.name")
        require_one_of("model.name", name, tuple(NAMED["model"]))
        return cast("ModelConfig", checked(config.model, NAMED["model"][name]))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError, UserError) as error:
        raise UserError(f"run={reader.path}: does not say what network it is; give a model.onnx of train.py") from error


def _parsed(text: str) -> DictConfig:
    """Read a config, which a stranger's could fill the memory with, or take hours.

    Raises:
        YAMLError, OmegaConfBaseException, ValueError, RecursionError: if it is none, or too large.
    """
    if len(text) > LARGEST_CONFIG or text.count("[") + text.count("{") > MOST_LISTS:
        raise ValueError("is too large")
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
        raise ValueError("has an alias")
    try:
        config = OmegaConf.create(text)
    except AssertionError as error:  # OmegaConf's answer to a number
        raise ValueError("has no settings") from error
    if not isinstance(config, DictConfig):
        raise ValueError("has no settings")
    return config


def kept_checkpoint(folder: Path, settings: TrainConfig) -> Path:
    """Give the checkpoint that a run is judged by: best on validation, or the last one where there is none."""
    return folder / (runs.BEST_CHECKPOINT if settings.data.val_size else runs.LAST_CHECKPOINT)


def load_settings(folder: Path) -> TrainConfig:
    """Read a run's config.yaml.

    Raises:
        UserError: if it is not there or is damaged.
    """
    path = folder / runs.CONFIG_FILE
    try:
        with path.open(encoding="utf-8") as file:
            config = _parsed(file.read(LARGEST_CONFIG + 1))
        config.pop("defaults", None)
    except (OSError, yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
        raise UserError(f"{folder}: is not the folder of a run; {path} cannot be read") from error
    try:
        return checked(config, TrainConfig)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
