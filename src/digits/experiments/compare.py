"""Compare experiments: make the runs that are not there, and lay their figures beside each other."""

import itertools
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import Any
from urllib.parse import quote

from PIL import Image

from digits import runs
from digits.config.commands import CompareConfig
from digits.config.train import TrainConfig, result_settings
from digits.errors import UserError, raise_all
from digits.experiments.chart import comparison
from digits.experiments.composed import ComposedRun
from digits.files import (
    csv_text,
    made_folder,
    markdown_table,
    project_path,
    short_name,
    shown,
    write_picture,
    write_text,
)
from digits.handwriting.labelled import NON_DIGIT, Labelled, find_labelled
from digits.models.build import build_network
from digits.reading.reader import Reader, shipped_page_network
from digits.reading.recognize import Recognizer
from digits.reading.score import Result, find_pages
from digits.training.resume import load_settings
from digits.training.run import train

TAGS = {
    "test_accuracy": "test/accuracy",
    "test_nll": "test/calibrated/nll",
    "test_ece": "test/calibrated/ece",
    "val_accuracy": "val/accuracy",
    "train_accuracy": "train/accuracy",
}
"""The tags of figures in metrics.json, by the columns of table.csv."""


@dataclass
class Row:
    """An experiment: what was asked for, and its runs."""

    name: str
    wanted: list[ComposedRun]
    folders: dict[int, Path] = field(default_factory=dict)
    """The finished runs, by their seeds."""
    own_handwriting: list[float] = field(default_factory=list)
    """The share of the labelled pictures that each run reads correctly."""

    @cached_property
    def metrics(self) -> list[dict[str, float]]:
        """The final figures of each run."""
        return [runs.read_figures(folder) for folder in self.folders.values()]

    @cached_property
    def epochs(self) -> list[list[dict[str, float]]]:
        """The figures of each run's epochs."""
        return [runs.read_metrics(folder) for folder in self.folders.values()]

    @property
    def seconds(self) -> list[float]:
        """What each run's training took, with validation."""
        return [sum(epoch["train/seconds"] for epoch in epochs) for epochs in self.epochs]

    def figures(self) -> dict[str, Any]:
        """Return the columns of table.csv; shares from 0 to 1, the mean over the runs with the range."""
        weights = sum(weight.numel() for weight in build_network(self.wanted[0].settings.model).parameters())
        figures: dict[str, Any] = {"experiment": self.name, "runs": len(self.folders), "weights": weights}
        values = {key: [metrics[tag] for metrics in self.metrics if tag in metrics] for key, tag in TAGS.items()}
        for key, of_runs in {**values, "own_handwriting": self.own_handwriting}.items():
            if of_runs:
                figures |= {key: fmean(of_runs), f"{key}_min": min(of_runs), f"{key}_max": max(of_runs)}
        figures["training_seconds"] = fmean(self.seconds)
        figures["images_per_second"] = median(
            epoch["train/images_per_second"] for epochs in self.epochs for epoch in epochs
        )
        figures["folders"] = " ".join(map(shown, self.folders.values()))
        return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in figures.items()}


def compare(config: CompareConfig, wanted: dict[str, list[ComposedRun]]) -> None:
    """Make the runs that are not there, and write table.md, table.csv and comparison.png.

    Args:
        config: the settings of conf/compare.yaml.
        wanted: the runs of each row.

    Raises:
        UserError: at the end, for runs that could not be made and pictures that could not be read.
    """
    rows = [Row(name, runs_of_row) for name, runs_of_row in wanted.items()]
    pictures, errors = find_labelled(config.pictures) if config.pictures else ([], [])
    out = made_folder("outputs_dir", project_path(config.outputs_dir) / "compare")  # before minutes of training
    _fill(rows, config.outputs_dir, errors)
    rows = [row for row in rows if row.folders]
    _read(rows, pictures, errors)
    if rows:
        table = [row.figures() for row in rows]
        text = _markdown(rows, table, out)
        write_text(out / "table.md", text)
        write_text(out / "table.csv", csv_text(table))
        write_picture(out / "comparison.png", _picture(rows))
        sys.stdout.write(text)
        sys.stderr.write(f"table.md, table.csv and comparison.png are in {shown(out)}\n")
    raise_all(errors)


def _fill(rows: list[Row], outputs_dir: str, errors: list[UserError]) -> None:
    """Find the runs, go on with those that were stopped, or make them; one that fails does not stop the others."""
    finished = _made_of(runs.finished(outputs_dir))
    stopped = _made_of(runs.unfinished(outputs_dir))
    wanted = [(row, run) for row in rows for run in row.wanted]
    for number, (row, run) in enumerate(wanted, 1):
        title = f"{row.name}, seed {run.settings.seed}"
        made_of = result_settings(run.settings)
        folder = next((folder for folder, others in finished if others == made_of), None)
        if folder is None:
            sys.stderr.write(f"\n{number} of {len(wanted)}: {title}\n")
            half = next((folder for folder, others in stopped if others == made_of), None)
            name, resume = (None, str(half)) if half else (_free_name(row.name, run.settings), None)
            try:
                with runs.time_limit_errors():
                    folder = train(replace(run.settings, run_name=name, resume=resume), run.overrides)
            except UserError as error:
                errors.append(UserError(f"{title}: {error}"))
                continue
            finished.append((folder, made_of))
        else:
            sys.stderr.write(f"{number} of {len(wanted)}: {title}: {shown(folder)}\n")
        row.folders[run.settings.seed] = folder


def _made_of(folders: list[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """Return runs with the settings that shape their results."""
    readable = []
    for folder in folders:
        try:
            readable.append((folder, result_settings(load_settings(folder))))
        except UserError:
            continue  # of an older version of the project, or damaged
    return readable


def _free_name(row: str, settings: TrainConfig) -> str:
    """Name a run's folder by its row and its seed, with _2 behind it where there is such a folder already."""
    words = "".join(letter if letter.isalnum() or letter in "._-" else " " for letter in row).split()
    plain = short_name("_".join(words))
    parent = project_path(settings.outputs_dir) / settings.model.name
    names = (f"{plain}_seed{settings.seed}" + (f"_{number}" if number > 1 else "") for number in itertools.count(1))
    return next(name for name in names if not (parent / name).exists())


def _read(rows: list[Row], pictures: list[Labelled], errors: list[UserError]) -> None:
    """Read the labelled pictures with every run."""
    digits = [picture for picture in pictures if picture.label != NON_DIGIT]
    models = [folder / runs.MODEL_FILE for row in rows for folder in row.folders.values()]
    recognizers = [Recognizer(Reader(model), shipped_page_network()) for model in models if digits]
    correct = [0] * len(recognizers)
    count = 0
    for picture, page in find_pages(digits, shipped_page_network(), errors):
        count += 1
        for number, recognizer in enumerate(recognizers):
            correct[number] += Result(picture, recognizer.read(page)).is_correct
    shares = iter(correct)
    for row in rows if count else []:
        row.own_handwriting = [next(shares) / count for _ in row.folders]


def _picture(rows: list[Row]) -> Image.Image:
    accuracies = {"the test": [[metrics["test/accuracy"] for metrics in row.metrics] for row in rows]}
    if rows[0].own_handwriting:
        accuracies["own handwriting"] = [row.own_handwriting for row in rows]
    return Image.fromarray(comparison([row.name for row in rows], accuracies, [row.seconds for row in rows]))


def _markdown(rows: Sequence[Row], table: Sequence[dict[str, Any]], out: Path) -> str:
    """Return the table, with a link to each run from where the file is."""
    header = ["experiment", "weights", "test accuracy", "NLL", "ECE", "val accuracy", "train accuracy", "training"]
    has_own = "own_handwriting" in table[0]
    cells = []
    for row, figures in zip(rows, table, strict=True):
        links = ", ".join(f"[{seed}]({quote(os.path.relpath(folder, out))})" for seed, folder in row.folders.items())
        cells.append(
            [
                figures["experiment"],
                f"{figures['weights']:,}",
                _range(figures, "test_accuracy"),
                f"{figures['test_nll']:.4f}",
                f"{100 * figures['test_ece']:.2f} %",
                _range(figures, "val_accuracy"),
                _range(figures, "train_accuracy"),
                f"{figures['training_seconds']:.1f} s",
                f"{figures['images_per_second']:,.0f}",
                *([_range(figures, "own_handwriting")] if has_own else []),
                links,
            ]
        )
    return markdown_table([*header, "images/s", *(["own handwriting"] if has_own else []), "runs, by seed"], cells)


def _range(figures: dict[str, Any], key: str) -> str:
    if key not in figures:
        return ""  # nothing was held out to validate with
    mean, least, most = (100 * figures[name] for name in (key, f"{key}_min", f"{key}_max"))
    return f"{mean:.2f} % ({least:.2f} to {most:.2f})"
