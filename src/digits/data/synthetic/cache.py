"""Synthetic images, drawn once for a cache folder and read from there afterwards."""

import hashlib
import logging
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from digits.data.synthetic import strokes
from digits.files import ROOT, atomic_write, file_errors
from digits.processes import workers

log = logging.getLogger("digits")

MADE_BY = ("data/synthetic/*.py", "handwriting/*.py")
"""The code that a drawing depends on; where it has changed, the drawings are made again."""

PART = 250
"""Drawings that a process makes before it takes the next ones: half a second's work."""

FEWEST_PARTS = 8
"""Fewer are drawn before other processes have started."""


def prepare(folder: Path, kind: str, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return drawings, from the cache where they are there.

    Args:
        folder: the cache.
        kind: digits, or negatives, which are non-digits.
        count: how many.
        seed: what they are drawn by.

    Returns:
        Images, uint8 [count, 28, 28], bright ink on black; labels, int64 [count], 0 to 9, or NON_DIGIT for negatives.

    Raises:
        UserError: if the folder cannot be written to.
    """
    code = b"".join(file.read_bytes() for room in MADE_BY for file in sorted((ROOT / "src" / "digits").glob(room)))
    path = folder / "synthetic" / f"{kind}-{count}-{seed}-{hashlib.sha256(code).hexdigest()[:12]}.npz"
    try:
        with path.open("rb") as kept_file, np.load(kept_file) as kept:
            images, labels = kept["images"], kept["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # not there, or damaged
        log.info("drawing %s %s, once; they are kept in %s", f"{count:,}", kind, path.parent)
        images, labels = _drawn(kind, count, seed)
        with file_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, images=images, labels=labels)
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


def _drawn(kind: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw in as many processes as there are cores; few drawings in this one."""
    parts = [range(start, min(start + PART, count)) for start in range(0, count, PART)]
    draw = partial(strokes.draw, kind, seed)
    console = Console(stderr=True)
    bar = partial(track, description=kind, console=console, transient=True, disable=not console.is_terminal)
    if len(parts) < FEWEST_PARTS:
        drawn = [draw(part) for part in bar(parts)]
    else:
        with workers(None) as processes:
            drawn = list(bar(processes.map(draw, parts), total=len(parts)))
    images, labels = (np.concatenate(arrays) for arrays in zip(*drawn, strict=True))
    return images, labels
