"""Go on with a run, or start from a finished network: with which settings, and whether all that it needs is whole."""

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digits import runs
from digits.command_line import checked
from digits.config.model import ModelConfig
from digits.config.train import GROUPS, WITHOUT_INFLUENCE, TrainConfig, result_settings
from digits.errors import UserError, as_yaml, renamed_setting
from digits.files import resolved
from digits.reading.reader import SHIPPED, Reader, digit_network_path
from digits.training.checkpoints import Checkpoint, load
from digits.training.task import epochs_done, is_within_an_epoch

log = logging.getLogger("digits")

CHANGEABLE = (*WITHOUT_INFLUENCE, "trainer")
"""Settings, or groups, that a run may go on with other values of; the others would make it another run."""

MAX_CONFIG, MAX_LISTS = 20_000, 100
"""Characters and brackets of a run's config; ours have under 2,000, and hardly a bracket."""


@dataclass(frozen=True)
class Resumed:
    """A run that goes on."""

    path: Path
    """The checkpoint, in the folder checkpoints/ of the run."""
    checkpoint: Checkpoint
    settings: TrainConfig
    """That the run was made with, changed where the user may change them."""
    first_step: int
    """The first optimizer step, from 1, of the epoch that it goes on with; its figures are written anew."""

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.path.parent.parent


def find(settings: TrainConfig, overrides: list[str]) -> Resumed | None:
    """Return the run that `resume` names, None where the run starts anew.

    Args:
        settings: the config of this command.
        overrides: what the user typed; auto keeps to the model and the run_name that are named there.

    Raises:
        UserError: if there is no such run, it has its epochs already, the user typed a setting that would make it
            another run, or something that it needs is missing or damaged.
    """
    if settings.resume is None:
        return None
    if settings.resume == "auto":
        # what a run is that starts from a network is known only then, if it is not typed
        named = settings.run_name is not None and settings.start_from is None
        named = named or any(typed.startswith("model=") for typed in overrides)
        folders = runs.unfinished(settings.outputs_dir, settings.model.name if named else "*")
        folder = next((folder for folder in folders if settings.run_name in (None, folder.name)), None)
        return None if folder is None else _resumed(folder, None, settings, overrides)
    path = resolved(settings.resume)
    folder = path if path.is_dir() else path.parent.parent
    if path.is_dir() and not runs.is_resumable(path):
        expected = "give the folder of a run that has one, or auto"
        raise UserError(f"resume={settings.resume}: there is no {path / runs.LAST_CHECKPOINT}; {expected}")
    if not path.exists():
        raise UserError(f"resume={settings.resume}: there is no {path}; give the folder of a run, or auto")
    if not (folder / runs.CONFIG_FILE).is_file():
        raise UserError(f"resume={settings.resume}: is not in the folder of a run; give such a folder, or auto")
    if settings.run_name not in (None, folder.name):
        raise UserError(f"run_name={settings.run_name}: the run goes on as {folder.name}; leave it out")
    return _resumed(folder, None if path.is_dir() else path, settings, overrides)


def _resumed(folder: Path, path: Path | None, settings: TrainConfig, overrides: list[str]) -> Resumed:
    """Read a run's checkpoint, the newest whole one if none is named, and check that the run can go on from it."""
    made_with = load_settings(folder)
    path, checkpoint = _newest_whole(folder, made_with.model) if path is None else (path, load(path, made_with.model))
    changed = _changed(made_with, settings, overrides, folder, is_within_an_epoch(checkpoint))
    done, wanted = epochs_done(checkpoint), changed.trainer.max_epochs
    if done > wanted or (done == wanted and (folder / runs.MODEL_FILE).exists()):
        raise UserError(f"trainer.max_epochs={wanted}: the run {folder} has {done} epochs already; give more")
    if done and changed.data.val_size:
        load(folder / runs.BEST_CHECKPOINT, changed.model)
    rows = runs.read_metrics(folder)
    if len(rows) < done:
        damage = f"has {len(rows)} epochs, not the checkpoint's {done}; restore it"
        raise UserError(f"{folder / runs.METRICS_FILE}: {damage}")
    return Resumed(path, checkpoint, changed, 1 + (int(rows[done - 1]["step"]) if done else 0))


def _newest_whole(folder: Path, model: ModelConfig) -> tuple[Path, Checkpoint]:
    """Read the newest checkpoint of a run; the one before where that is damaged, which is logged.

    Raises:
        UserError: if both are.
    """
    last, previous = (folder / checkpoint for checkpoint in runs.RESUMABLE)
    if not last.is_file():  # stopped between renaming the one and the other
        return previous, load(previous, model)
    try:
        return last, load(last, model)
    except UserError as error:
        if not previous.is_file():
            raise
        checkpoint = load(previous, model)
        log.warning("%s; taking the one before, %s", error, previous.name)
        return previous, checkpoint


def _changed(
    made_with: TrainConfig, settings: TrainConfig, overrides: list[str], folder: Path, within_an_epoch: bool
) -> TrainConfig:
    """Return the settings that a run was made with, changed by those overrides that may change them."""
    if settings.start_from is not None and made_with.start_from is not None:  # what `with_network` said of it then
        same = made_with.start_from if settings.start_from == "auto" else settings.start_from
        settings = replace(settings, start_from=same, model=made_with.model)
    changeable = set(CHANGEABLE) - ({"data.chunk_size"} if within_an_epoch else set())
    saved, given = OmegaConf.structured(made_with), OmegaConf.structured(settings)
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if key == "trainer":
            key = "trainer.strategy"  # which is what its files differ in; the run keeps its epochs
        if key == "experiment" and _fixed(settings) != _fixed(made_with):
            raise UserError(
                f"{override}: the run {folder} was made of other settings and goes on with them; leave it out"
            )
        now, before = OmegaConf.select(given, key), OmegaConf.select(saved, key)
        if key.split(".")[0] in changeable or key in changeable:
            OmegaConf.update(saved, key, now)
        elif (now.name != before.name) if isinstance(before, DictConfig) else (now != before):
            was = before.name if isinstance(before, DictConfig) else as_yaml(before)
            raise UserError(f"{override}: the run {folder} was made with {key}={was} and goes on with it; leave it out")
    return checked(saved, TrainConfig)


def _fixed(settings: TrainConfig) -> dict[str, Any]:
    """Return what a run cannot go on with other values of."""
    return {key: value for key, value in result_settings(settings).items() if key.split(".")[0] not in CHANGEABLE}


def with_network(settings: TrainConfig, overrides: list[str]) -> TrainConfig:
    """Return the settings of a new run that starts from a network: with its `model`, and where it is.

    Args:
        settings: the config of this command; `start_from` is not null.
        overrides: what the user typed.

    Raises:
        UserError: if there is no such network, it does not say what it is, or the user typed that it is another one.
    """
    asked = settings.start_from
    with renamed_setting("run", to="start_from"):
        newest = runs.newest_finished(settings.outputs_dir)
        path = digit_network_path(str(newest or "shipped") if asked == "auto" else asked, settings.outputs_dir)
        model = _network_of(Reader(path))
    for override in overrides:
        group = override.lstrip("+~").partition("=")[0].partition(".")[0]
        if group == "model" and settings.model != model:
            differing = [f"model={model.name}"]
            if model.name == settings.model.name:
                typed = asdict(settings.model)
                differing = [f"model.{key}={value}" for key, value in asdict(model).items() if value != typed[key]]
            raise UserError(f"{override}: start_from={asked} is another network, {', '.join(differing)}; leave it out")
    place = "shipped" if path == SHIPPED else str(path.parent)
    return replace(settings, model=model, start_from=place if asked == "auto" else asked)


def _network_of(reader: Reader) -> ModelConfig:
    """Return what network a model.onnx is, from the config in it.

    Raises:
        UserError: if it does not say so, or says it otherwise than train.py.
    """
    try:
        config = _parsed(reader.metadata.get("config", ""))
        model = config.get("model")
        return cast("ModelConfig", checked(model, GROUPS["model"][model.name]))
    except (OmegaConfBaseException, AttributeError, KeyError, ValueError, UserError) as error:
        raise UserError(f"run={reader.path}: does not say what network it is; give a model.onnx of train.py") from error


def _parsed(text: str) -> DictConfig:
    """Read a config, which a stranger's could fill the memory with, or take hours.

    Raises:
        ValueError: if it is none, or too large.
    """
    if len(text) > MAX_CONFIG or text.count("[") + text.count("{") > MAX_LISTS:
        raise ValueError("is too large")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise ValueError("has an alias")
        config = OmegaConf.create(text)
    except (yaml.YAMLError, OmegaConfBaseException, RecursionError, AssertionError) as error:  # the last for a number
        raise ValueError("is no YAML of settings") from error
    if not isinstance(config, DictConfig):
        raise ValueError("has no settings")
    return config


def load_settings(folder: Path) -> TrainConfig:
    """Read a run's config.yaml.

    Raises:
        UserError: if it is not there or is damaged.
    """
    path = folder / runs.CONFIG_FILE
    try:
        with path.open(encoding="utf-8") as file:
            config = _parsed(file.read(MAX_CONFIG + 1))
        config.pop("defaults", None)
    except (OSError, OmegaConfBaseException, ValueError) as error:
        raise UserError(f"{folder}: is not the folder of a run; {path} cannot be read") from error
    try:
        return checked(config, TrainConfig)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
