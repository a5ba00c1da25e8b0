"""One run from its settings to its folder: fit, test, export; and the test of a finished run, repeated."""

import json
import logging
import shlex
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from omegaconf import OmegaConf

from digits import checkpoints, devices, precision, resuming, runs
from digits.config import ROOT, EvaluateConfig, TrainConfig, project_path, result_settings
from digits.data import teaching
from digits.data.datamodule import MNISTDataModule
from digits.distributed import World, world_of
from digits.errors import UserError
from digits.memory import card_errors
from digits.models.averaging import MovingAverage
from digits.models.build import apart, build
from digits.models.classifier import DigitClassifier
from digits.reading.export import export, export_text, take_weights
from digits.reading.reader import find_model
from digits.runs import shown
from digits.tracking.console import ProgressBar, console, log, logging_to, say_how_to_go_on, say_tested
from digits.tracking.tensorboard import TensorBoard
from digits.tracking.tracker import Counting, Tracker

CONFIG_HEADER = """\
# What this run was made of. To run it again, into a folder of its own:
#   python src/train.py --config-dir {folder} --config-name config
defaults: [entry_point, _self_]
"""


def train(settings: TrainConfig, overrides: list[str], callbacks: Sequence[Callback] = (), quiet: bool = False) -> Path:
    """Fit, test with the weights that were best on validation, and export, all into the run's folder.

    Args:
        settings: the checked config.
        overrides: what the user typed.
        callbacks: more than a run has anyway.
        quiet: whether to say things in train.log only.

    Returns:
        The run's folder.

    Raises:
        UserError: if the device, the data, the folder or the run to go on with is not as the settings say.
    """
    _prepare_process()
    checkpoint = resuming.find(settings, overrides)
    if checkpoint is not None:
        settings = resuming.continued(settings, overrides, checkpoint)
    elif settings.start_from is not None:
        settings = resuming.started(settings, overrides)
    world = world_of(settings.trainer)
    device = chosen_device(settings, world)
    world.check(settings, device)
    world.join(device)  # all have looked at what is there before the first one changes something
    settings = world.decided(partial(precision.resolved, settings, device))
    teacher = teaching.find(settings.teacher, settings.outputs_dir)
    data = MNISTDataModule(settings.data, settings.augment, settings.seeds, teacher)
    world.first_alone(partial(data.setup, "fit"))
    L.seed_everything(settings.seed, verbose=False)
    model = build(settings)
    if settings.start_from is not None and checkpoint is None:
        take_weights(model, find_model(settings.start_from, settings.outputs_dir))
    folder = world.decided(partial(_folder, settings, overrides, checkpoint))
    log_file = folder / "train.log" if world.is_first else None
    with (
        runs.taken(folder) if world.is_first else nullcontext(),
        runs.room_errors(folder),
        logging_to(log_file, quiet or not world.is_first),
    ):
        if world.is_first:
            runs.unfinish(folder)
        if checkpoint is not None:
            start = f"going on from {shown(checkpoint)}"
        else:
            start = "new run" if settings.start_from is None else f"starting from {settings.start_from}"
        computing = f"{world.processes}{device.name}, {settings.trainer.precision}"
        log.info("%s, seed %d, on %s, %s", settings.model.name, settings.seed, computing, start)
        interruptible = checkpoints.Interruptible(folder / runs.LAST_CHECKPOINT, settings.trainer)
        try:
            with interruptible.listening(), card_errors(model, settings, device):
                _run(settings, folder, checkpoint, device, world, data, model, [interruptible, *callbacks])
        except (KeyboardInterrupt, SystemExit) as stop:  # Lightning makes this of that, once it has closed everything
            say_how_to_go_on(folder, world.command)
            # the code is None where another process was asked, whose time may be over
            other = 128 + signal.SIGINT if isinstance(stop, KeyboardInterrupt) else runs.EXIT_OUT_OF_TIME
            sys.exit(interruptible.exit_code or other)
    return folder


def _folder(settings: TrainConfig, overrides: list[str], checkpoint: Path | None) -> Path:
    """Make a new run's folder, or give that of one which goes on."""
    if checkpoint is not None:
        return checkpoint.parent.parent
    folder = runs.create(settings.outputs_dir, settings.model.name, settings.run_name)
    runs.write_text(folder / "overrides.yaml", OmegaConf.to_yaml(overrides))
    return folder


def _run(
    settings: TrainConfig,
    folder: Path,
    checkpoint: Path | None,
    device: devices.Device,
    world: World,
    data: MNISTDataModule,
    model: DigitClassifier,
    callbacks: Sequence[Callback],
) -> None:
    average = [] if settings.optimizer.ema is None else [MovingAverage(settings.optimizer.ema)]
    own = [*average, *callbacks, checkpoints.Relocated(), *checkpoints.callbacks(settings, folder)]
    if not world.is_first:
        trainer = _trainer(settings, device, folder, [Counting(), *own], world)
        trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
        world.leave()
        return
    config = OmegaConf.to_yaml(OmegaConf.structured(replace(settings, resume=None, run_name=None)))
    runs.write_text(folder / runs.CONFIG_FILE, CONFIG_HEADER.format(folder=shlex.quote(str(folder))) + config)
    board = TensorBoard(folder, resuming.first_step(checkpoint, settings) if checkpoint else None)
    board.config(config)
    tracker = Tracker(folder, board, data)
    bar = [ProgressBar(data)] if console.is_terminal else []
    trainer = _trainer(settings, device, folder, [tracker, *own, *bar], world)
    trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
    world.leave()  # one process is enough for the rest
    checkpoints.restore(model, settings.model, resuming.kept_checkpoint(folder, settings))
    _trainer(settings, device, folder, [tracker], World()).test(model, data, verbose=False)
    calibration = tracker.calibrated(model)
    figures = {**tracker.epochs[model.trained_epochs - 1], **tracker.tested}  # the epoch whose weights were kept
    best = {tag: tracker.tested[tag] for tag in ("test/accuracy", "test/loss")}
    board.hyperparameters(result_settings(settings), best)
    board.close()
    runs.write_text(folder / runs.METRICS_JSON, json.dumps(figures, indent=2) + "\n")
    metadata = {**metadata_of(settings.model.name, config, tracker.tested), "seed": str(settings.seed)}
    export(apart(model), calibration.temperature, folder / runs.MODEL_FILE, metadata)
    say_tested(tracker.tested)
    log.info("run            %s", shown(folder))
    log.info("next           tensorboard --logdir %s", shown(folder.parents[1]))
    command = shlex.join(["python", shown(ROOT / "src" / "predict.py"), "img=my_digit.png", f"run={shown(folder)}"])
    log.info("               %s", command)


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Repeat the test of a run from its checkpoint; figures and pictures go to the run's folder evaluate/.

    Returns:
        The figures of the test, and of what validation says of the confidence.

    Raises:
        UserError: if there is no such run, or its checkpoint is damaged or another network's.
    """
    _prepare_process()
    folder = runs.newest_trained(config.outputs_dir) if config.run is None else Path(config.run).expanduser().resolve()
    if folder is None:
        where = project_path(config.outputs_dir)
        raise UserError(f"run: no finished run in {where}; train one first: python src/train.py")
    settings = resuming.load_settings(folder)
    checkpoint = resuming.kept_checkpoint(folder, settings)
    model = build(settings)
    checkpoints.restore(model, settings.model, checkpoint)
    device = devices.choose(config.accelerator, 1, "accelerator")
    target = folder / "evaluate"
    with runs.user_errors(target):
        target.mkdir(exist_ok=True)
        for event_file in target.glob("events.out.tfevents.*"):  # of the test before, which this one repeats
            event_file.unlink()
    board = TensorBoard(target)
    needed = replace(settings.data, mine_share=0.0)  # the pictures of one's own that it was trained on may be gone
    data = MNISTDataModule(needed, settings.augment, settings.seeds)
    tracker = Tracker(target, board, data)
    with logging_to(None):
        log.info("testing %s on %s", shown(checkpoint), device.name)
        trainer = _trainer(settings, device, folder, [tracker], World())
        trainer.test(model, data, verbose=False)
        tracker.calibrated(model)
        board.close()
        runs.write_text(target / runs.METRICS_JSON, json.dumps(tracker.tested, indent=2) + "\n")
        say_tested(tracker.tested)
        if config.weights is not None:
            weights = Path(config.weights).expanduser()
            export_text(apart(model), weights)
            log.info("weights        %s", shown(weights))
    return tracker.tested


def chosen_device(settings: TrainConfig, world: World | None = None) -> devices.Device:
    """Choose the device of a run; of several processes each has the card of its number on its machine.

    Raises:
        UserError: for trainer.accelerator=gpu without a usable card.
    """
    card = world.card if world else None
    chosen = settings.trainer.devices if card is None else [card]
    return devices.choose(settings.trainer.accelerator, chosen, "trainer.accelerator")


def _prepare_process() -> None:
    """Keep memory; silence what Lightning says of itself, and what does not hold here."""
    devices.keep_freed_memory()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # a run that goes on
    # there is nothing for worker processes to do: the images are in memory, and a chunk is one indexing operation
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="lightning")  # about its own insides
    warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*")


def _trainer(
    settings: TrainConfig, device: devices.Device, folder: Path, callbacks: list[Callback], world: World
) -> L.Trainer:
    # filling new memory would cost a third of the speed, for the sake of code that reads what it never wrote
    deterministic: Any = torch.utils.deterministic
    deterministic.fill_uninitialized_memory = False
    as_lightning_names_it: Any = settings.trainer.precision
    return L.Trainer(
        accelerator=device.accelerator,
        devices=device.devices if world.environment is None else world.per_node,
        num_nodes=world.nodes,
        strategy="auto" if world.environment is None else "ddp",
        use_distributed_sampler=False,  # each process takes its part of each mini-batch
        sync_batchnorm=world.size > 1,
        precision=as_lightning_names_it,
        max_epochs=settings.trainer.max_epochs,
        callbacks=callbacks,
        default_root_dir=folder,
        deterministic=True,
        plugins=[checkpoints.WholeCheckpoints(), world.environment or LightningEnvironment()],
        logger=False,  # the tracker writes TensorBoard, on an axis of optimizer steps; Lightning would count chunks
        enable_checkpointing=any(isinstance(one, ModelCheckpoint) for one in callbacks),
        limit_val_batches=None if settings.data.val_size else 0,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=int(settings.data.hardest < 1),  # or all epochs would be as long as the first
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def metadata_of(name: str, config: str, tested: dict[str, float]) -> dict[str, str]:
    """Say what a model.onnx is: the network's name, how it was made, and its figures by their tags."""
    libraries = ("torch", "lightning", "torchvision", "onnx")
    return {
        "model": name,
        "command": shlex.join(["python", *sys.argv]),
        "config": config,
        **{tag: str(value) for tag, value in tested.items()},
        "versions": ", ".join(f"{library} {version(library)}" for library in libraries),
    }
