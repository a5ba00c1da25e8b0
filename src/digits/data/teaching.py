"""What a teacher says of the training images, asked once and kept in the cache folder."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from digits.reading.reader import CLASSES, Reader
from digits.runs import user_errors, whole

log = logging.getLogger("digits")

AT_ONCE = 5000
"""Images between two moves of the progress bar."""

LEAST = 1e-7
"""Of a probability, whose logarithm is taken: float32 tells no smaller ones from 0 beside 1."""


def answers(folder: Path, teacher: Path, images: Tensor) -> Tensor:
    """Give what a teacher says, from the cache where it was asked the same before.

    Args:
        folder: the cache.
        teacher: its model.onnx, of a run or an ensemble.
        images: uint8 [N, 28, 28], bright ink on black.

    Returns:
        The logarithms of its probabilities, float32 [N, 10], of three digits.

    Raises:
        UserError: if the teacher cannot be read, or the folder cannot be written to.
    """
    reader = Reader(teacher)
    asked = images.cpu().numpy()
    key = hashlib.sha256(teacher.read_bytes() + hashlib.sha256(asked.data).digest()).hexdigest()
    path = folder / "teaching" / f"{key[:24]}.npy"
    try:
        kept = np.load(path)
    except (OSError, ValueError, EOFError):  # not there, or damaged
        kept = np.empty(0)
    if kept.shape != (len(asked), CLASSES) or kept.dtype != np.float16:
        log.info("asking %s about %s images, once; its answers are kept in %s", teacher, f"{len(asked):,}", path.parent)
        kept = _asked(reader, asked)
        with user_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as temporary, temporary.open("wb") as file:
            np.save(file, kept)
    return torch.from_numpy(kept.astype(np.float32))


def _asked(reader: Reader, images: NDArray[np.uint8]) -> NDArray[np.float16]:
    console = Console(stderr=True)
    starts = range(0, len(images), AT_ONCE)
    bar = track(starts, "teacher", console=console, transient=True, disable=not console.is_terminal)
    parts = [reader.probabilities(images[start : start + AT_ONCE]) for start in bar]
    found: NDArray[np.float16] = np.log(np.concatenate(parts).clip(min=LEAST)).astype(np.float16)
    return found
