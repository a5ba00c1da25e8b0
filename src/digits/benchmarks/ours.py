"""This project's own training, as train.py does it, taking turns with others."""

import os
import sys
from typing import Any

import lightning.pytorch as L

from digits.benchmarks.round_robin import RoundRobin
from digits.config.train import TrainConfig
from digits.training.run import train as train_run


def train(turns: RoundRobin, settings: TrainConfig) -> None:
    """Make a run, with validation, TensorBoard and checkpoints; a turn is an epoch with all that belongs to it."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  # os.devnull is no file for a Path
        sys.stderr = nowhere  # its epochs and its bar are not what a benchmark shows
        train_run(settings, [], [WaitForTurn(turns)])


class WaitForTurn(L.Callback):
    """Waits for a turn before each epoch.

    Args:
        turns: the turns.
    """

    def __init__(self, turns: RoundRobin) -> None:
        self.turns = turns

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the epoch that is over, and wait."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]  # set by fit; Lightning does not declare it
        self.turns.wait(data.images_in(max(trainer.current_epoch - 1, 0)))
