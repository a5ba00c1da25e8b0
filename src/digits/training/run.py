"""One run in three steps: `plan` it, `fit` the network, and `finish` with its test and its model.onnx."""

import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import cast

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf

from digits import runs
from digits.config.data import PagesConfig
from digits.config.train import TrainConfig, result_settings
from digits.data.datamodule import MNISTDataModule
from digits.data.pagemodule import PagesDataModule
from digits.errors import UserError
from digits.files import ROOT, shown, write_text
from digits.models.build import build_network
from digits.reading.reader import digit_network_path
from digits.tracking.console import ProgressBar, console, log, log_tested, logging_to
from digits.tracking.digits import DigitTracker
from digits.tracking.pages import PageTracker
from digits.tracking.tensorboard import TensorBoard
from digits.tracking.tracker import Tracker
from digits.training import checkpoints, devices, resume
from digits.training.calibration import Calibration
from digits.training.classifier import DigitClassifier
from digits.training.ddp import Processes, started_processes
from digits.training.evaluate import test_and_calibrate
from digits.training.export import export, export_finder, take_weights
from digits.training.finder import PageFinder
from digits.training.interrupt import InterruptCheckpoint
from digits.training.trainer import build_trainer, prepare_process

CONFIG_HEADER = """\
# What this run was made of. To run it again, into a folder of its own:
#   python src/train.py --config-dir {folder} --config-name config
defaults: [entry_point, _self_]
"""


@dataclass
class Plan:
    """A run that is ready to train."""

    settings: TrainConfig
    folder: Path
    device: devices.Device
    processes: Processes
    data: MNISTDataModule | PagesDataModule
    task: DigitClassifier | PageFinder
    resumed: resume.Resumed | None
    interrupt: InterruptCheckpoint
    tracker: Tracker | None = None
    """From `fit` on, in the first process."""

    @property
    def config(self) -> str:
        """The settings as YAML."""
        return OmegaConf.to_yaml(OmegaConf.structured(replace(self.settings, resume=None, run_name=None)))


def train(settings: TrainConfig, overrides: list[str], callbacks: Sequence[Callback] = (), quiet: bool = False) -> Path:
    """Plan, fit and finish a run, and return its folder.

    Args:
        settings: the checked config.
        overrides: what the user typed.
        callbacks: more than a run has anyway.
        quiet: whether to log to train.log only.

    Raises:
        UserError: if the device, the data, the folder or the run to go on with is not as the settings say.
    """
    with logging_to(None, quiet):
        planned = plan(settings, overrides)
    with session(planned, quiet):
        fit(planned, callbacks)
        if planned.processes.is_first:  # one process is enough for the rest
            finish(planned)
    return planned.folder


def plan(settings: TrainConfig, overrides: list[str]) -> Plan:
    """Choose the device, read the images, build the network, and make the run's folder.

    Args:
        settings: the checked config.
        overrides: what the user typed.

    Raises:
        UserError: if the device, the data, the folder or the run to go on with is not as the settings say.
    """
    prepare_process()
    typed_resume = settings.resume
    resumed = resume.find(settings, overrides)
    if resumed is not None:
        settings = resumed.settings
    elif settings.start_from is not None:
        settings = resume.with_network(settings, overrides)
    processes = started_processes(settings.trainer)
    device = devices.choose(settings.trainer.accelerator, "trainer.accelerator", processes.local_rank)
    settings.trainer.check_device(device.accelerator)
    processes.check(settings, device)
    processes.join(device)  # all have looked at what is there before the first one changes something
    data: MNISTDataModule | PagesDataModule
    if isinstance(settings.data, PagesConfig):
        data = PagesDataModule(settings.data, settings.seed)
    else:
        data = MNISTDataModule(settings.data, settings.augment, settings.seed, processes.size)
    processes.first_alone(partial(data.setup, "fit"))
    L.seed_everything(settings.seed, verbose=False)
    network = build_network(settings.model)
    task = PageFinder(network, settings) if settings.model.name == runs.PAGES else DigitClassifier(network, settings)
    if resumed is not None:
        checkpoints.load_weights(task, resumed.checkpoint, resumed.path)
    elif settings.start_from is not None:
        take_weights(network, digit_network_path(settings.start_from, settings.outputs_dir))

    def folder_of_run() -> Path:
        if resumed is not None:
            return resumed.folder
        folder = runs.create(settings.outputs_dir, settings.model.name, settings.run_name, typed_resume == "auto")
        write_text(folder / "overrides.yaml", OmegaConf.to_yaml(overrides))
        return folder

    folder = processes.decide(folder_of_run)
    interrupt = InterruptCheckpoint(folder / runs.LAST_CHECKPOINT, settings.trainer.max_time)
    return Plan(settings, folder, device, processes, data, task, resumed, interrupt)


@contextmanager
def session(planned: Plan, quiet: bool = False) -> Iterator[None]:
    """Hold a run's folder and log while it trains there; say how to go on where it is stopped.

    Raises:
        UserError: if another process trains there, or the GPU's memory is full.
        SystemExit: where it is stopped.
    """
    folder, first = planned.folder, planned.processes.is_first
    with ExitStack() as stack:
        if first:
            stack.enter_context(runs.lock(folder))
        stack.enter_context(logging_to(folder / "train.log" if first else None, quiet or not first))
        stack.enter_context(planned.interrupt.listening())
        try:
            yield
        except torch.OutOfMemoryError as error:
            reason = f"{planned.device.name} has not enough memory ({str(error).split('. ')[0]})"
            raise UserError(f"data.batch_size={planned.settings.data.batch_size}: {reason}; lower it") from error
        except OSError as error:
            error.filename = error.filename or str(folder)  # TensorBoard's writer does not say it
            raise
        except (KeyboardInterrupt, SystemExit) as stop:  # Lightning makes this of that, once it has closed everything
            _log_how_to_resume(planned)
            # the code is None where another process was asked, whose time may be over
            other = 128 + signal.SIGINT if isinstance(stop, KeyboardInterrupt) else runs.EXIT_OUT_OF_TIME
            sys.exit(planned.interrupt.exit_code or other)
        finally:
            if planned.tracker is not None:
                planned.tracker.board.close()
            planned.data.teardown("fit")


def fit(planned: Plan, callbacks: Sequence[Callback] = ()) -> None:
    """Train the network and validate each epoch; within a `session`.

    Args:
        planned: the run.
        callbacks: more than a run has anyway.
    """
    settings, folder, resumed = planned.settings, planned.folder, planned.resumed
    path, checkpoint = (None, None) if resumed is None else (resumed.path, resumed.checkpoint)
    tracking: list[Callback] = []
    if planned.processes.is_first:
        runs.unfinish(folder)
        _log_start(planned)
        write_text(folder / runs.CONFIG_FILE, CONFIG_HEADER.format(folder=shlex.quote(str(folder))) + planned.config)
        board = TensorBoard(folder, purge_step=None if resumed is None else resumed.first_step)
        board.add_config(planned.config)
        kind = PageTracker if isinstance(planned.data, PagesDataModule) else DigitTracker
        planned.tracker = kind(folder, board, planned.data)
        tracking = [planned.tracker, *([ProgressBar(planned.data)] if console.is_terminal else [])]
    kept = checkpoints.checkpoint_callbacks(settings, folder)
    all_callbacks = [*tracking, planned.interrupt, *callbacks, *kept]
    trainer = build_trainer(settings, planned.device, folder, all_callbacks, planned.processes, checkpoint)
    trainer.fit(planned.task, planned.data, ckpt_path=path, weights_only=True)
    planned.processes.leave()


def finish(planned: Plan) -> None:
    """Test and calibrate the weights that were kept, and write metrics.json and model.onnx; after `fit`."""
    settings, folder, task, tracker = planned.settings, planned.folder, planned.task, planned.tracker
    if tracker is None:
        raise RuntimeError("fit comes before finish")
    checkpoints.restore(task, settings.model, checkpoints.kept_checkpoint(folder, settings))
    write: Callable[[Path, dict[str, str]], None]
    if isinstance(task, DigitClassifier):
        write = partial(export, task, _tested(planned, task).temperature)
    else:
        write = partial(export_finder, task)
    planned.interrupt.stop_if_asked()
    tracker.board.close()
    epoch = tracker.epochs[task.trained_epochs - 1]  # whose weights were kept
    write_text(folder / runs.METRICS_JSON, json.dumps({**epoch, **tracker.tested}, indent=2) + "\n")
    libraries = ("torch", "lightning", "torchvision", "onnx")
    validated = {tag: value for tag, value in epoch.items() if tag.startswith("val/")}
    metadata = {
        "model": settings.model.name,
        "command": shlex.join(["python", *sys.argv]),
        "config": planned.config,
        **{tag: str(value) for tag, value in (tracker.tested or validated).items()},
        "versions": ", ".join(f"{library} {version(library)}" for library in libraries),
        "seed": str(settings.seed),
    }
    write(folder / runs.MODEL_FILE, metadata)
    if tracker.tested:
        log_tested(tracker.tested)
    log.info("run            %s", shown(folder))
    log.info("next           %s", shlex.join(["tensorboard", "--logdir", shown(folder.parents[1])]))
    read_with = "pages" if settings.model.name == runs.PAGES else "run"
    command = shlex.join(
        ["python", shown(ROOT / "src" / "predict.py"), "img=my_digit.png", f"{read_with}={shown(folder)}"]
    )
    log.info("               %s", command)
    planned.interrupt.stop_if_asked()


def _tested(planned: Plan, classifier: DigitClassifier) -> Calibration:
    """Test a classifier, and add the run with its final figures to the HParams page."""
    settings, tracker = planned.settings, cast(DigitTracker, planned.tracker)
    trainer = build_trainer(settings, planned.device, planned.folder, [tracker])
    calibration = test_and_calibrate(classifier, cast(MNISTDataModule, planned.data), tracker, trainer)
    metrics = {tag: tracker.tested[tag] for tag in ("test/accuracy", "test/loss")}
    tracker.board.add_hyperparameters(result_settings(settings), metrics)
    return calibration


def _log_start(planned: Plan) -> None:
    settings, processes, resumed = planned.settings, planned.processes, planned.resumed
    if resumed is not None:
        start = f"going on from {shown(resumed.path)}"
    else:
        start = "new run" if settings.start_from is None else f"starting from {settings.start_from}"
    several = f"{processes.size} processes, " if processes.environment else ""
    where = f"{several}{planned.device.name}, {settings.trainer.precision}"
    log.info("%s, seed %d, on %s, %s", settings.model.name, settings.seed, where, start)


def _log_how_to_resume(planned: Plan) -> None:
    if (planned.folder / runs.MODEL_FILE).exists():
        log.info("stopped; the run is finished")
    elif runs.is_resumable(planned.folder):
        script, resume_setting = shown(ROOT / "src" / "train.py"), f"resume={shown(planned.folder)}"
        log.info("stopped. To go on:\n  %s", shlex.join([*planned.processes.command, script, resume_setting]))
    else:
        log.info("stopped before the first checkpoint, so there is nothing to go on from")
