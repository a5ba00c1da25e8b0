"""One run from its settings to its folder: fit, test, export; and the test of a finished run, repeated."""

import json
import logging
import os
import shlex
import sys
import warnings
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from omegaconf import OmegaConf

from digits import devices, models, resuming, runs
from digits.command_line import checked
from digits.config import EvaluateConfig, TrainConfig
from digits.data.datamodule import MNISTDataModule
from digits.models.classifier import DigitClassifier
from digits.reading.export import export
from digits.tracking.console import ProgressBar, console, log, start_log, stop_log
from digits.tracking.tensorboard import TensorBoard
from digits.tracking.tracker import Tracker

EXIT_INTERRUPTED = 130
"""What a shell gives a program that Ctrl-C ended: 128 and the number of SIGINT."""

CONFIG_HEADER = """\
# What this run was made of. To run it again, into a folder of its own:
#   python src/train.py --config-dir {folder} --config-name config
defaults: [entry_point, _self_]
"""


def train(settings: TrainConfig, overrides: list[str]) -> Path:
    """Fit, test with the weights that were best on validation, and export, all into the run's folder.

    Args:
        settings: the checked config.
        overrides: what the user typed, to be written down and to be typed again.

    Returns:
        The run's folder.

    Raises:
        UserError: if the device, the data, the folder or the run to go on with is not as the settings say.
    """
    checkpoint = resuming.find(settings)
    if checkpoint is not None:
        settings = resuming.continued(settings, overrides, checkpoint)
    quieten()
    accelerator, cards, remark = devices.choose(
        settings.trainer.accelerator, settings.trainer.devices, "trainer.accelerator"
    )
    data = MNISTDataModule(settings.data, settings.seed)
    data.prepare_data()
    folder = checkpoint.parents[1] if checkpoint else _new_folder(settings, overrides)
    start_log(folder / "train.log")
    if remark:
        log.info("training on the CPU, because %s", remark)
    if settings.resume == "auto" and checkpoint is None:
        log.info("resume=auto: no unfinished run of %s, so this one is new", settings.model.name)
    going_on = f", going on from {shown(checkpoint)}" if checkpoint else ""
    log.info("%s, seed %d, on %s%s", settings.model.name, settings.seed, _device_name(accelerator, cards), going_on)

    config = OmegaConf.to_yaml(OmegaConf.structured(settings))
    runs.write_text(folder / runs.CONFIG_FILE, CONFIG_HEADER.format(folder=folder) + config)
    L.seed_everything(settings.seed, verbose=False)
    model = models.build(settings.model, settings.optimizer, settings.schedule)
    purge_step = resuming.load(checkpoint, settings.model)["global_step"] + 1 if checkpoint else None
    board = TensorBoard(folder, purge_step)
    board.config(config)
    tracker = Tracker(folder, board)
    trainer = _trainer(settings, accelerator, cards, folder, [tracker])
    with suppress(SystemExit):  # what Lightning makes of Ctrl-C, once it has closed everything
        trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
    if trainer.interrupted:
        _stop(folder, overrides)
    kept = folder / (runs.BEST_CHECKPOINT if settings.data.val_size else runs.LAST_CHECKPOINT)
    with suppress(SystemExit):
        trainer.test(model, data, ckpt_path=kept, weights_only=True, verbose=False)
    if trainer.interrupted:
        _stop(folder, overrides)
    figures = {**tracker.epochs[model.trained_epochs - 1], **tracker.tested}
    board.hyperparameters(_flat(asdict(settings)), tracker.tested)
    board.close()
    runs.write_text(folder / "metrics.json", json.dumps(figures, indent=2) + "\n")
    export(model, folder / runs.MODEL_FILE, _metadata(settings, config, tracker.tested))
    _say_what_next(folder, figures)
    stop_log()
    return folder


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Repeat the test of a run from its checkpoint; figures and pictures go to the run's folder evaluate/.

    Returns:
        `test/loss` and `test/accuracy`.

    Raises:
        UserError: if there is no such run, or its checkpoint is damaged or another network's.
    """
    folder = runs.newest_finished(config.outputs_dir) if config.run is None else Path(config.run).expanduser().resolve()
    settings = checked(resuming.load_config(folder), TrainConfig)
    checkpoint = folder / (runs.BEST_CHECKPOINT if settings.data.val_size else runs.LAST_CHECKPOINT)
    resuming.load(checkpoint, settings.model)
    quieten()
    accelerator, cards, _ = devices.choose(config.accelerator, 1, "accelerator")
    start_log(None)
    log.info("testing %s", shown(checkpoint))
    target = folder / "evaluate"
    with runs.user_errors(target):
        target.mkdir(exist_ok=True)
        for event_file in target.glob("events.out.tfevents.*"):
            event_file.unlink()
    board = TensorBoard(target)
    tracker = Tracker(target, board)
    trainer = _trainer(settings, accelerator, cards, folder, [tracker])
    model = models.build(settings.model, settings.optimizer, settings.schedule)
    data = MNISTDataModule(settings.data, settings.seed)
    trainer.test(model, data, ckpt_path=checkpoint, weights_only=True, verbose=False)
    board.close()
    runs.write_text(target / "metrics.json", json.dumps(tracker.tested, indent=2) + "\n")
    for tag, value in tracker.tested.items():
        log.info("%-14s %s", tag, f"{value:.2%}" if tag.endswith("accuracy") else f"{value:.4f}")
    stop_log()
    return tracker.tested


def quieten() -> None:
    """Silence what Lightning says of itself and what does not hold here."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # there is nothing for worker processes to do: the images are in memory, and a chunk is one indexing operation
    warnings.filterwarnings("ignore", ".*does not have many workers.*")


def _new_folder(settings: TrainConfig, overrides: list[str]) -> Path:
    folder = runs.create(settings.outputs_dir, settings.model.name, settings.run_name)
    runs.write_text(folder / "overrides.yaml", OmegaConf.to_yaml(overrides))
    return folder


def _trainer(
    settings: TrainConfig, accelerator: str, cards: int | list[int], folder: Path, callbacks: list[Callback]
) -> L.Trainer:
    # MaxPool and the losses used here are exact on a card, too; memory is only filled for code that reads it unwritten
    torch.utils.deterministic.fill_uninitialized_memory = False
    callbacks = [*callbacks, *([ProgressBar()] if console.is_terminal else []), _checkpoints(settings, folder)]
    patience = settings.trainer.early_stopping.patience
    if patience is not None:
        callbacks.append(EarlyStopping("val/accuracy", patience=patience, mode="max", check_on_train_epoch_end=True))
    return L.Trainer(
        accelerator=accelerator,
        devices=cards,
        precision=settings.trainer.precision,
        max_epochs=settings.trainer.max_epochs,
        callbacks=callbacks,
        default_root_dir=folder,
        deterministic=True,
        logger=False,  # the tracker writes TensorBoard, on an axis of optimizer steps; Lightning would count chunks
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _checkpoints(settings: TrainConfig, folder: Path) -> ModelCheckpoint:
    """Keep the last epoch, and the first of those with the best validation accuracy, where there is one."""
    judged = settings.data.val_size > 0
    return ModelCheckpoint(
        dirpath=folder / runs.BEST_CHECKPOINT.parent,
        filename=runs.BEST_CHECKPOINT.stem,
        monitor="val/accuracy" if judged else None,
        mode="max",
        save_top_k=int(judged),
        save_last=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def _stop(folder: Path, overrides: list[str]) -> None:
    """Say how to go on after Ctrl-C, and exit."""
    command = [one for one in overrides if one.partition("=")[0] not in ("resume", "run_name")]
    if (folder / runs.LAST_CHECKPOINT).exists():
        log.info(
            "stopped; go on with:\n  %s", shlex.join(["python", "src/train.py", *command, f"resume={shown(folder)}"])
        )
    else:
        log.info("stopped before the first epoch ended, so there is nothing to go on from")
    stop_log()
    sys.exit(EXIT_INTERRUPTED)


def _say_what_next(folder: Path, figures: dict[str, float]) -> None:
    log.info("test accuracy  %.2f %%", 100 * figures["test/accuracy"])
    log.info("test loss      %.4f", figures["test/loss"])
    log.info("run            %s", shown(folder))
    log.info("next           tensorboard --logdir %s", shown(folder.parents[1]))
    log.info("               python src/predict.py img=my_digit.png")


def shown(path: Path) -> str:
    """Give a path as one would type it: relative to the working directory where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


def _device_name(accelerator: str, cards: int | list[int]) -> str:
    if accelerator == "cuda" and isinstance(cards, list):
        return torch.cuda.get_device_name(cards[0])
    return f"the CPU ({torch.get_num_threads()} threads)"


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _metadata(settings: TrainConfig, config: str, tested: dict[str, float]) -> dict[str, str]:
    """Say what a model.onnx is."""
    libraries = ("torch", "lightning", "torchvision", "onnx")
    return {
        "model": settings.model.name,
        "config": config,
        "mnist_test_accuracy": str(tested["test/accuracy"]),
        "mnist_test_loss": str(tested["test/loss"]),
        "versions": ", ".join(f"{library} {version(library)}" for library in libraries),
    }
