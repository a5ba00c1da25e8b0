"""Whole runs, as train.py makes them: how accurate and how long; and whether a run is the same when repeated."""

import itertools
import re
from pathlib import Path
from statistics import fmean

import torch

from digits import runs
from digits.benchmarks import ours
from digits.benchmarks.round_robin import Report
from digits.files import markdown_table

RECIPES = {"experiment=fast/lenet5": 10, "experiment=record/lenet5": 1, "model=pages": 1}
"""What is typed, and how many seeds."""

REPEATED = ("model=lenet5", "augment=handwriting", "trainer.max_epochs=2")
"""A run of some 860 steps, with schedule and distortion, whose weights are compared."""


def recipes(where: list[str], outputs: Path, report: Report) -> str:
    """Train each recipe as a user does, and return a table of accuracy and seconds.

    Args:
        where: the settings of the device and of the cache folder.
        outputs: a folder for the runs.
        report: takes a line about how far it is.
    """
    lines = []
    for recipe, seeds in RECIPES.items():
        accuracies, seconds, captures = [], [], []
        for seed in range(1, seeds + 1):
            folder = _trained([recipe, *where, f"seed={seed}"], outputs)
            metrics = runs.read_figures(folder)
            accuracies.append(100 * metrics.get("test/accuracy", metrics.get("val/recall", 0.0)))
            seconds.append(sum(row["train/seconds"] for row in runs.read_metrics(folder)))
            captures.append(_seconds_to_capture(folder))
            report(f"{recipe} seed={seed}: {accuracies[-1]:.2f} %, {seconds[-1]:.2f} s")
        figures = (_mean(accuracies, "%"), _mean(seconds, "s"), _mean(captures, "s"))
        lines.append((f"train.py {recipe}", str(seeds), *figures))
    head = ("whole runs", "seeds", "test accuracy (pages: recall)", "fit, with validation", "of which to capture")
    return markdown_table(head, lines)


def repeated(where: list[str], outputs: Path, report: Report) -> str:
    """Make a run twice, and once with steps that are not captured; return what that says of the weights.

    Args:
        where: the settings of the device and of the cache folder.
        outputs: a folder for the runs.
        report: takes a line about how far it is.
    """
    typed = [*REPEATED, *where]
    first, second = _trained(typed, outputs), _trained(typed, outputs)
    plain = _trained([*typed, "trainer.capture=false"], outputs)
    same = all(torch.equal(*pair) for pair in zip(_weights(first), _weights(second), strict=True))
    farthest = max(
        abs(one["train/loss"] - other["train/loss"]) / other["train/loss"]
        for one, other in itertools.zip_longest(runs.read_metrics(first), runs.read_metrics(plain))
    )
    lines = [
        ("the same run twice", "the same weights to the bit" if same else "OTHER WEIGHTS"),
        ("steps captured, and one by one", f"the training loss of an epoch differs by {farthest:.1e} of it at most"),
    ]
    for what, outcome in lines:
        report(f"{what}: {outcome}")
    return markdown_table((f"train.py {' '.join(REPEATED)}", ""), lines)


def _trained(typed: list[str], outputs: Path) -> Path:
    """Make a run, and return its folder."""
    number = len(list(outputs.glob("*/*")))
    settings = [*typed, f"outputs_dir={outputs}", f"run_name={number}"]
    ours.command("train.py", *settings)
    return next(outputs.glob(f"*/{number}"))


def _seconds_to_capture(folder: Path) -> float:
    log = (folder / "train.log").read_text(encoding="utf-8")
    return sum(float(seconds) for seconds in re.findall(r"captured \d+ steps in ([\d.]+) s", log))


def _weights(folder: Path) -> list[torch.Tensor]:
    checkpoint = torch.load(folder / runs.LAST_CHECKPOINT, map_location="cpu", weights_only=True)
    return list(checkpoint["state_dict"].values())


def _mean(values: list[float], unit: str) -> str:
    spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{fmean(values):.2f} {unit}{spread}"
