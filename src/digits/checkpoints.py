"""What a run keeps of itself in checkpoints/: when, written whole, and read without running a stranger's code."""

import io
import math
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from digits import runs
from digits.config import TrainConfig, TrainerConfig, seconds
from digits.errors import UserError
from digits.models.classifier import DigitClassifier
from digits.models.config import ModelConfig

LARGEST = 2 * 2**30
"""Bytes of a checkpoint, unpacked; ours have some MB."""

ZIP = b"PK\3\4"
"""What torch takes for an archive; else it reads its format before version 1.6, which has no bounds."""

KEYS = {
    "callbacks",
    "epoch",
    "global_step",
    "hyper_parameters",
    "loops",
    "lr_schedulers",
    "optimizer_states",
    "state_dict",
    "train_metrics",
}
"""What is in a checkpoint that a run can go on from."""


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint to the disk before it takes the place of the one before, of the last of which one is kept."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write it.

        Raises:
            UserError: if it cannot be written; then what was there is there.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        path = Path(path)
        with runs.user_errors(path.parent):
            path.parent.mkdir(exist_ok=True)
        with runs.whole(path) as temporary:
            with temporary.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            if path.name == runs.LAST_CHECKPOINT.name:
                with suppress(FileNotFoundError):
                    path.replace(path.with_name(runs.PREVIOUS_CHECKPOINT.name))


class Interruptible(Callback):
    """Saves in the middle of epochs, every so often, and when the run is to stop: by Ctrl-C, SIGTERM or its time limit.

    A chunk of steps is finished first; a second Ctrl-C does not wait for that.

    Args:
        checkpoint: where to save.
        settings: how often, and how long the run may take.
    """

    def __init__(self, checkpoint: Path, settings: TrainerConfig) -> None:
        self.checkpoint = checkpoint
        self.every = settings.checkpoint_every
        self.end = time.monotonic() + (math.inf if settings.max_time is None else seconds(settings.max_time))
        self.exit_code: int | None = None
        """What the program is to stop with; None while it is not."""
        self.training = False
        self.stepped = False
        """Whether there is progress; a time limit waits for some, or a run that goes on might never have any."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM ask for the end."""
        before = {one: signal.signal(one, self._asked) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _asked(self, number: int, _: FrameType | None) -> None:
        at_once = self.exit_code is not None or not self.training
        self.exit_code = 128 + number  # as a shell has it
        if at_once:
            raise KeyboardInterrupt

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self.training = True
        self.due = time.monotonic() + self.every

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop, where that is asked for; the epoch before has been saved."""
        if self._agreed(trainer, self._is_to_stop()) and self.checkpoint.exists():
            raise SystemExit

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where it is time, and stop where that is asked for; but not before validation, at an epoch's end."""
        self.stepped = True
        if trainer.is_last_batch:
            return
        to_stop = self._agreed(trainer, self._is_to_stop())
        if to_stop or self._agreed(trainer, time.monotonic() >= self.due):
            trainer.save_checkpoint(self.checkpoint)
            self.due = time.monotonic() + self.every
        if to_stop:
            raise SystemExit

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop, where that is asked for; from here on at once."""
        self.training = False
        if self._agreed(trainer, self.exit_code is not None):
            raise SystemExit

    @staticmethod
    def _agreed(trainer: L.Trainer, wish: bool) -> bool:
        """Say whether one of the processes wishes it, because all must do the same."""
        return trainer.strategy.reduce_boolean_decision(wish, all=False)

    def _is_to_stop(self) -> bool:
        if self.exit_code is None and self.stepped and time.monotonic() >= self.end:
            self.exit_code = runs.EXIT_OUT_OF_TIME
        return self.exit_code is not None


class Stopper(EarlyStopping):
    """Early stopping that a run which goes on after it remembers."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop where the last epoch of the run would have made it stop."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


def callbacks(settings: TrainConfig, folder: Path) -> list[Callback]:
    """Keep the last epoch, and where there is validation the first of those with the best accuracy; stop early."""

    def keep(checkpoint: Path, monitor: str | None) -> ModelCheckpoint:
        return ModelCheckpoint(
            dirpath=folder / checkpoint.parent,
            filename=checkpoint.stem,
            monitor=monitor,
            mode="max",
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    kept: list[Callback] = []
    if settings.data.val_size:
        kept.append(keep(runs.BEST_CHECKPOINT, "val/accuracy"))
    patience = settings.trainer.early_stopping.patience
    if patience is not None:
        kept.append(Stopper("val/accuracy", patience=patience, mode="max", check_on_train_epoch_end=True))
    return [*kept, keep(runs.LAST_CHECKPOINT, None)]  # last, because it keeps what the others know


def load(path: Path, model: ModelConfig) -> dict[str, Any]:
    """Read a checkpoint, plain values and weights only, so that a stranger's can run no code.

    Raises:
        UserError: if it is missing or damaged, is no checkpoint of this project, or is another network's.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != ZIP:
                raise ValueError("older than torch 1.6, or something before the archive")
        with zipfile.ZipFile(path) as archive:
            size = sum(one.file_size for one in archive.infolist())
            if size > LARGEST:
                raise UserError(f"{path}: has {size} bytes unpacked; at most {LARGEST} are read")
            damaged = archive.testzip()  # torch.load does not look at the sums
        if damaged is not None:
            raise UserError(f"{path}: is damaged")
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not _all_there(checkpoint):
            raise ValueError("tensors that are larger than their memory")
        missing = KEYS - checkpoint.keys()
        found = None if missing else checkpoint["hyper_parameters"]["model"]
    except FileNotFoundError as error:
        raise UserError(f"{path}: is missing") from error
    except UserError:
        raise
    except Exception as error:  # what torch and zipfile raise for damaged files has no common class
        raise UserError(f"{path}: is damaged, or is not a checkpoint of this project") from error
    if missing:
        raise UserError(f"{path}: is not a checkpoint of this project; it has no {', '.join(sorted(missing))}")
    if found != asdict(model):
        raise UserError(f"{path}: is a checkpoint of {found}, this is {asdict(model)}")
    return checkpoint


def _all_there(value: Any) -> bool:
    """Say whether each tensor's values are in memory: where one stands for many, a copy might fill the memory."""
    if isinstance(value, torch.Tensor):
        plain = value.layout == torch.strided and value.device.type == "cpu"
        return plain and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    if isinstance(value, dict):
        return all(map(_all_there, value.values()))
    return all(map(_all_there, value)) if isinstance(value, list | tuple) else True


def restore(model: DigitClassifier, config: ModelConfig, path: Path) -> None:
    """Give a network the weights of a checkpoint.

    Raises:
        UserError: if the checkpoint is damaged or another network's.
    """
    checkpoint = load(path, config)
    try:
        model.load_state_dict(checkpoint["state_dict"])
        model.on_load_checkpoint(checkpoint)
    except (RuntimeError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: has other weights than {config.name}") from error


class Relocated(L.Callback):
    """Let a run's folder be moved: Lightning forgets the best epoch of a checkpoint that was written elsewhere.

    And it removes the file that a checkpoint names as the best so far, wherever that is, which a stranger's might use.
    """

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Change the paths that a checkpoint holds to where the run is now."""
        for callback in trainer.checkpoint_callbacks:
            state = checkpoint["callbacks"].get(callback.state_key)
            if isinstance(callback, ModelCheckpoint) and state:
                now = Path(str(callback.dirpath))
                state["dirpath"] = str(now)
                own = str(now / f"{callback.filename}.ckpt")
                for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
                    state[key] = own if state[key] else ""
                scores = list(state["best_k_models"].values())
                state["best_k_models"] = {own: scores[0]} if scores else {}
