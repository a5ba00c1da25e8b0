"""What a run keeps of itself in checkpoints/: written whole, and read without running a stranger's code."""

import io
import os
import zipfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from digits import runs
from digits.config.model import ModelConfig
from digits.config.train import TrainConfig
from digits.errors import UserError
from digits.files import atomic_write, file_errors
from digits.training.task import Task

Checkpoint = dict[str, Any]

MAX_BYTES = 2 * 2**30
"""The most that a checkpoint may have, unpacked; ours have some MB."""

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


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to the disk before it replaces the one before, of the last of which one is kept.

    Args:
        resumed: what `load` returned of the checkpoint that the run goes on from.
    """

    def __init__(self, resumed: Checkpoint | None = None) -> None:
        super().__init__()
        self.resumed = resumed

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> Checkpoint:
        """Return the checkpoint that the run goes on from, which has been read and checked already."""
        if self.resumed is None:
            raise AssertionError(f"{path} was not read by load()")
        return self.resumed

    def save_checkpoint(self, checkpoint: Checkpoint, path: Any, storage_options: Any | None = None) -> None:
        """Write it.

        Raises:
            UserError: if it cannot be written; then what was there is there.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        path = Path(path)
        with file_errors(path.parent):
            path.parent.mkdir(exist_ok=True)
        with atomic_write(path) as temporary:
            with temporary.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            if path.name == runs.LAST_CHECKPOINT.name:
                with suppress(FileNotFoundError):
                    path.replace(path.with_name(runs.PREVIOUS_CHECKPOINT.name))


class ResumableEarlyStopping(EarlyStopping):
    """Early stopping that a run which goes on after it remembers."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop where the last epoch of the run would have made it stop."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


class RelocateCheckpoint(Callback):
    """Lets a run's folder be moved: Lightning forgets the best epoch of a checkpoint that was written elsewhere.

    And it removes the file that a checkpoint names as the best so far, wherever that is, which a stranger's might use.
    """

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: Checkpoint) -> None:
        """Change the paths that a checkpoint holds to where the run is now."""
        for callback in trainer.checkpoint_callbacks:
            state = checkpoint["callbacks"].get(callback.state_key)
            if isinstance(callback, ModelCheckpoint) and state:
                folder = Path(str(callback.dirpath))
                state["dirpath"] = str(folder)
                own = str(folder / f"{callback.filename}.ckpt")
                for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
                    state[key] = own if state[key] else ""
                scores = list(state["best_k_models"].values())
                state["best_k_models"] = {own: scores[0]} if scores else {}


def checkpoint_callbacks(settings: TrainConfig, folder: Path) -> list[Callback]:
    """Return what keeps the last epoch, and the first of those that validate best; and stops early."""
    tag, mode = ("val/loss", "min") if settings.model.name == runs.PAGES else ("val/accuracy", "max")

    def keep(checkpoint: Path, monitor: str | None) -> ModelCheckpoint:
        return ModelCheckpoint(
            dirpath=folder / checkpoint.parent,
            filename=checkpoint.stem,
            monitor=monitor,
            mode=mode,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    callbacks: list[Callback] = [RelocateCheckpoint()]
    if settings.data.val_size:
        callbacks.append(keep(runs.BEST_CHECKPOINT, tag))
    patience = settings.trainer.early_stopping.patience
    if patience is not None:
        stopping = ResumableEarlyStopping(tag, patience=patience, mode=mode, check_on_train_epoch_end=True)
        callbacks.append(stopping)
    return [*callbacks, keep(runs.LAST_CHECKPOINT, None)]  # last, because it keeps what the others know


def kept_checkpoint(folder: Path, settings: TrainConfig) -> Path:
    """Return the checkpoint that a run is judged by: best on validation, or the last one where there is none."""
    return folder / (runs.BEST_CHECKPOINT if settings.data.val_size else runs.LAST_CHECKPOINT)


def load(path: Path, model: ModelConfig) -> Checkpoint:
    """Read a checkpoint, plain values and weights only, so that a stranger's can run no code.

    Raises:
        UserError: if it is missing or damaged, is no checkpoint of this project, or is another network's.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != ZIP:
                raise ValueError("older than torch 1.6, or something before the archive")
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > MAX_BYTES:
                raise UserError(f"{path}: has {size} bytes unpacked; at most {MAX_BYTES} are read")
            damaged = archive.testzip()  # torch.load does not look at the sums
        if damaged is not None:
            raise UserError(f"{path}: is damaged")
        checkpoint: Checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if not _is_in_memory(checkpoint):
            raise ValueError("tensors that are larger than their memory")
        missing = KEYS - checkpoint.keys()
        made_with = None if missing else checkpoint["hyper_parameters"]["model"]
    except FileNotFoundError as error:
        raise UserError(f"{path}: is missing") from error
    except UserError:
        raise
    except Exception as error:  # what torch and zipfile raise for damaged files has no common class
        raise UserError(f"{path}: is damaged, or is not a checkpoint of this project") from error
    if missing:
        raise UserError(f"{path}: is not a checkpoint of this project; it has no {', '.join(sorted(missing))}")
    if made_with != asdict(model):
        raise UserError(f"{path}: is a checkpoint of {made_with}, this is {asdict(model)}")
    return checkpoint


def _is_in_memory(value: Any) -> bool:
    """Whether each tensor's values are in memory: where one stands for many, a copy might fill the memory."""
    if isinstance(value, torch.Tensor):
        plain = value.layout == torch.strided and value.device.type == "cpu"
        return plain and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    if isinstance(value, dict):
        return all(map(_is_in_memory, value.values()))
    return all(map(_is_in_memory, value)) if isinstance(value, list | tuple) else True


def restore(task: Task, model: ModelConfig, path: Path) -> None:
    """Load the weights of a checkpoint into a network.

    Raises:
        UserError: if the checkpoint is damaged or another network's.
    """
    load_weights(task, load(path, model), path)


def load_weights(task: Task, checkpoint: Checkpoint, path: Path) -> None:
    """Load what was read of a checkpoint into a network.

    Raises:
        UserError: if it is another network's, or of a version of this project whose network was another one.
    """
    try:
        task.load_state_dict(checkpoint["state_dict"])
        task.on_load_checkpoint(checkpoint)
    except (RuntimeError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: has other weights than this network; begin a new run") from error
