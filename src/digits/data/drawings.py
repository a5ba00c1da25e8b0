"""Drawings of the stroke generator, made once for a cache folder and read from there afterwards."""

import hashlib
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from digits.config import ROOT
from digits.data import strokes
from digits.runs import whole

log = logging.getLogger("digits")

MADE_BY = (
    "data/forms.py",
    "data/strokes.py",
    "handwriting/ink.py",
    "handwriting/normalize.py",
    "handwriting/page.py",
    "handwriting/segment.py",
)
"""The code that a drawing depends on; where it has changed, the drawings are made again."""

Draw = Callable[[int, int], tuple[np.ndarray, np.ndarray]]


def prepare(folder: Path, kind: str, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Give drawings, from the cache where they are there.

    Args:
        folder: the cache.
        kind: digits, or negatives (which are no digits).
        count: how many.
        seed: what they are drawn by.

    Returns:
        Images, uint8 [count, 28, 28], bright ink on black; labels, int64 [count], 0 to 9, or NOT_A_DIGIT for negatives.

    Raises:
        UserError: if the folder cannot be written to.
    """
    code = b"".join((ROOT / "src" / "digits" / name).read_bytes() for name in MADE_BY)
    path = folder / "drawings" / f"{kind}-{count}-{seed}-{hashlib.sha256(code).hexdigest()[:12]}.npz"
    try:
        with np.load(path) as kept:
            images, labels = kept["images"], kept["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # not there, or damaged
        log.info("drawing %s %s, once; they are kept in %s", f"{count:,}", kind, path.parent)
        console = Console(stderr=True)
        places = track(
            range(count), f"drawing {kind}", console=console, transient=True, disable=not console.is_terminal
        )
        draw = strokes.draw_digit if kind == "digits" else strokes.draw_other
        images, labels = map(np.array, zip(*(draw(place, seed) for place in places), strict=True))
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, images=images, labels=labels)
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))
