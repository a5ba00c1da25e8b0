"""What a test reads in a run's folder."""

import csv
from pathlib import Path

import torch

from digits import runs

CLOCK = ("train/images_per_second", "train/seconds")
"""What differs from run to run."""


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    state: dict[str, torch.Tensor] = checkpoint["state_dict"]
    return state


def steps(folder: Path, name: str = "last") -> int:
    checkpoint: dict[str, int] = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return checkpoint["global_step"]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of metrics.csv but for what a clock says."""
    return [{key: row[key] for key in row if key not in CLOCK} for row in table(folder / "metrics.csv")]


def figures(folder: Path) -> dict[str, float]:
    found = runs.read_figures(folder)
    return {key: found[key] for key in found if key not in CLOCK}
