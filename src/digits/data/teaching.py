"""Where a teacher is, and what it says of the training images, asked once and kept in the cache folder."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from digits.errors import UserError
from digits.reading.reader import CLASSES, Reader, find_model
from digits.runs import user_errors, whole

log = logging.getLogger("digits")

AT_ONCE = 5000
"""Images between two moves of the progress bar."""

LEAST = 1e-7
"""Of a probability, whose logarithm is taken: float32 tells no smaller ones from 0 beside 1."""


def find(teacher: str | None, outputs_dir: str) -> Path | None:
    """Give the model.onnx of a teacher, None for none.

    Args:
        teacher: the folder of a run or an ensemble, an .onnx file, or shipped.
        outputs_dir: where runs are.

    Raises:
        UserError: if there is none, or it cannot be read.
    """
    if teacher is None:
        return None
    if teacher != "shipped" and not Path(teacher).exists():
        right = "for a record, make it first: python src/train.py experiment=record/convnet run_name=teacher"
        raise UserError(f"teacher={teacher}: is not there; {right}")
    try:
        return Reader(find_model(teacher, outputs_dir)).path
    except UserError as error:
        raise UserError(str(error).replace("run=", "teacher=", 1)) from error


def answers(folder: Path, teacher: Path, versions: Sequence[Tensor]) -> Tensor:
    """Give what a teacher says, from the cache where it was asked the same before.

    Each version is kept for itself, so that a run with others as well, or one that was stopped, asks only what is new.

    Args:
        folder: the cache.
        teacher: its model.onnx, of a run or an ensemble.
        versions: of the training images, each uint8 [N, 28, 28], bright ink on black.

    Returns:
        The logarithms of its probabilities, float32 [versions x N, 10], of three digits.

    Raises:
        UserError: if the teacher cannot be read, or the folder cannot be written to.
    """
    reader = Reader(teacher)
    of_teacher = hashlib.sha256(teacher.read_bytes()).digest()
    found = []
    for number, images in enumerate(versions, 1):
        asked = images.cpu().numpy()
        key = hashlib.sha256(of_teacher + hashlib.sha256(asked.data).digest()).hexdigest()
        path = folder / "teaching" / f"{key[:24]}.npy"
        kept = _kept(path, len(asked))
        if kept is None:
            log.info("asking the teacher once: %s images, %d of %d", f"{len(asked):,}", number, len(versions))
            kept = _asked(reader, asked)
            with user_errors(path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as temporary, temporary.open("wb") as file:
                np.save(file, kept)
        found.append(torch.from_numpy(kept.astype(np.float32)))
    return torch.cat(found)


def _kept(path: Path, count: int) -> NDArray[np.float16] | None:
    """Give the answers that a file has; None where it is not there, or damaged."""
    try:
        kept = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == (count, CLASSES) and kept.dtype == np.float16 else None


def _asked(reader: Reader, images: NDArray[np.uint8]) -> NDArray[np.float16]:
    console = Console(stderr=True)
    starts = range(0, len(images), AT_ONCE)
    bar = track(starts, "teacher", console=console, transient=True, disable=not console.is_terminal)
    parts = [reader.probabilities(images[start : start + AT_ONCE]) for start in bar]
    found: NDArray[np.float16] = np.log(np.concatenate(parts).clip(min=LEAST)).astype(np.float16)
    return found
