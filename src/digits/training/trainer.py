"""Lightning's Trainer as every run and every test has it."""

import logging
import threading
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from digits.config.data import MNISTConfig
from digits.config.train import TrainConfig
from digits.training.checkpoints import AtomicCheckpointIO, Checkpoint
from digits.training.ddp import Processes
from digits.training.devices import Device, keep_freed_memory

report_failure = threading.excepthook
"""What tells of a thread that failed."""


def prepare_process() -> None:
    """Keep freed memory; silence what Lightning says of itself, and what does not hold here."""
    keep_freed_memory()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # a run that goes on
    # there is nothing for worker processes to do: the images are in memory, and a chunk is one indexing operation
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="lightning")  # about its own insides
    warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*")
    threading.excepthook = _thread_failed


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """Report a thread that failed, but by no full disk, which TensorBoard's writer raises in the run as well."""
    if not isinstance(failure.exc_value, OSError):
        report_failure(failure)


def build_trainer(
    settings: TrainConfig,
    device: Device,
    folder: Path,
    callbacks: list[Callback],
    processes: Processes | None = None,
    resumed: Checkpoint | None = None,
) -> L.Trainer:
    """Return the trainer of a run.

    Args:
        settings: the run's.
        device: where to compute.
        folder: the run's.
        callbacks: all of them.
        processes: that share the training; None for this one alone.
        resumed: the checkpoint that the run goes on from.
    """
    # filling new memory would cost a third of the speed, for the sake of code that reads what it never wrote
    deterministic: Any = torch.utils.deterministic
    deterministic.fill_uninitialized_memory = False
    processes = processes or Processes()
    precision: Any = settings.trainer.precision
    data = settings.data
    return L.Trainer(
        accelerator=device.accelerator,
        devices=processes.per_node,
        num_nodes=processes.nodes,
        strategy="auto" if processes.environment is None else "ddp",
        use_distributed_sampler=False,  # each process takes its slice of each mini-batch
        sync_batchnorm=processes.size > 1,
        precision=precision,
        max_epochs=settings.trainer.max_epochs,
        callbacks=callbacks,
        default_root_dir=folder,
        deterministic=True,
        plugins=[AtomicCheckpointIO(resumed), processes.environment or LightningEnvironment()],
        logger=False,  # the tracker writes TensorBoard, on an axis of optimizer steps; Lightning would count chunks
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        limit_val_batches=None if settings.data.val_size else 0,
        num_sanity_val_steps=0,
        # or all epochs would be as long as the first
        reload_dataloaders_every_n_epochs=int(isinstance(data, MNISTConfig) and data.hard_example_fraction < 1),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
