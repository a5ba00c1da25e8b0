"""Go on with a run, or start from a finished network: with which settings, and whether all that it needs is whole."""

import pickle
import zipfile
import zlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digits import runs
from digits.command_line import checked
from digits.config import NAMED, WITHOUT_INFLUENCE, TrainConfig
from digits.errors import UserError, require_one_of
from digits.models.classifier import DigitClassifier
from digits.models.config import ModelConfig
from digits.reading.reader import SHIPPED, Reader, find_model

CHANGEABLE = (*WITHOUT_INFLUENCE, "trainer")
"""Settings, or groups, that a run may go on with other values of; the others would make it another run."""

LARGEST_CONFIG, MOST_LISTS = 20_000, 100
"""Characters and brackets of the config in a model.onnx; ours have under 2,000, and hardly a bracket."""

CHECKPOINT_KEYS = {
    "callbacks",
    "epoch",
    "global_step",
    "hyper_parameters",
    "loops",
    "lr_schedulers",
    "optimizer_states",
    "state_dict",
}
"""What Lightning puts into a checkpoint that a run can go on from."""


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
        return newest and newest / runs.LAST_CHECKPOINT
    path = Path(settings.resume).expanduser().resolve()
    checkpoint = path / runs.LAST_CHECKPOINT if path.is_dir() else path
    if not checkpoint.is_file():
        raise UserError(f"resume={settings.resume}: there is no {checkpoint}; give the folder of a run, or auto")
    if not (checkpoint.parent.parent / runs.CONFIG_FILE).is_file():
        raise UserError(f"resume={settings.resume}: is not in the folder of a run; give such a folder, or auto")
    return checkpoint


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
    saved, given = OmegaConf.structured(load_settings(folder)), OmegaConf.structured(settings)
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
    load(kept_checkpoint(folder, merged), merged.model)
    rows = runs.read_metrics(folder)
    if len(rows) < done:
        raise UserError(
            f"{folder / runs.METRICS_FILE}: has {len(rows)} epochs, not the checkpoint's {done}; restore it"
        )
    return merged


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
    text = reader.metadata.get("config", "")
    try:
        # a stranger's could fill the memory, or take hours
        if len(text) > LARGEST_CONFIG or text.count("[") + text.count("{") > MOST_LISTS:
            raise yaml.YAMLError("is too large")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise yaml.YAMLError("has an alias")
        config = OmegaConf.create(text)
        name = OmegaConf.select(config, "model.name")
        require_one_of("model.name", name, tuple(NAMED["model"]))
        return cast("ModelConfig", checked(config.model, NAMED["model"][name]))
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, RecursionError, UserError) as error:
        raise UserError(f"run={reader.path}: does not say what network it is; give a model.onnx of train.py") from error


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
        config = OmegaConf.load(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{folder}: is not the folder of a run; {path} cannot be read") from error
    if not isinstance(config, DictConfig):
        raise UserError(f"{path}: is not the config of a run")
    config.pop("defaults", None)
    try:
        return checked(config, TrainConfig)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def load(path: Path, model: ModelConfig) -> dict[str, Any]:
    """Read a checkpoint, plain values and weights only, so that a stranger's can run no code.

    Raises:
        UserError: if it is missing or damaged, is no checkpoint of this project, or is another network's.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load does not look at the sums
        if damaged is not None:
            raise UserError(f"{path}: is damaged")
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        missing = CHECKPOINT_KEYS - checkpoint.keys()
        found = None if missing else checkpoint["hyper_parameters"]["model"]
    except FileNotFoundError as error:
        raise UserError(f"{path}: is missing") from error
    except (
        OSError,
        RuntimeError,
        EOFError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
        pickle.UnpicklingError,
    ) as error:
        raise UserError(f"{path}: is damaged, or is not a checkpoint of this project") from error
    if missing:
        raise UserError(f"{path}: is not a checkpoint of this project; it has no {', '.join(sorted(missing))}")
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
    except (RuntimeError, TypeError) as error:
        raise UserError(f"{path}: has other weights than {config.name}") from error


class Relocated(L.Callback):
    """Let a run's folder be moved: Lightning forgets the best epoch of a checkpoint that was written elsewhere."""

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Change the paths that a checkpoint holds to where the run is now."""
        for callback in trainer.checkpoint_callbacks:
            state = checkpoint["callbacks"].get(callback.state_key)
            if isinstance(callback, ModelCheckpoint) and state:
                before, now = str(state["dirpath"]), str(callback.dirpath)
                for key in ("dirpath", "best_model_path", "kth_best_model_path", "last_model_path"):
                    state[key] = str(state[key]).replace(before, now, 1)
                state["best_k_models"] = {
                    path.replace(before, now, 1): score for path, score in state["best_k_models"].items()
                }
