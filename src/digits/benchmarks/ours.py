"""This project's own training, as train.py does it, taking turns with others; and its commands, as users type them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L

from digits.benchmarks.round_robin import RoundRobin
from digits.config.train import TrainConfig
from digits.files import ROOT
from digits.tracking.tracker import Tracker
from digits.training.run import train as train_run


def train(turns: RoundRobin, settings: TrainConfig, steps_alone: bool = False) -> None:
    """Make a run; a turn is an epoch with all that belongs to it, or its `train/images_per_second` of `steps_alone`."""
    with Path(os.devnull).open("w") as nowhere:
        sys.stderr = nowhere  # its epochs and its bar are not what a benchmark shows
        train_run(settings, [], [WaitForTurn(turns, steps_alone)])


def command(*arguments: str) -> None:
    """Run a script of src/, or a module by `-m`, as a process of its own.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    # S603 asks whether the command can be trusted: it is one of ours
    subprocess.run([sys.executable, *arguments], cwd=ROOT / "src", capture_output=True, check=True)  # noqa: S603


class WaitForTurn(L.Callback):
    """Waits for a turn before each epoch.

    Args:
        turns: the turns.
        steps_alone: whether validation, TensorBoard and checkpoints do not count.
    """

    def __init__(self, turns: RoundRobin, steps_alone: bool) -> None:
        self.turns = turns
        self.steps_alone = steps_alone

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the epoch that is over, and wait."""
        data = cast(Any, trainer).datamodule  # set by fit; Lightning does not declare it
        images = data.images_in(max(trainer.current_epoch - 1, 0))
        tracker = next(callback for callback in cast(Any, trainer).callbacks if isinstance(callback, Tracker))
        alone = self.steps_alone and tracker.epochs
        self.turns.wait(images, images / tracker.epochs[-1]["train/images_per_second"] if alone else None)
