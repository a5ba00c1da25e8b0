"""Compare experiments: make the runs that are not there, and lay their figures beside each other."""

import itertools
import json
import os
import sys
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import Any
from urllib.parse import quote

from PIL import Image

from digits import precision, resuming, runs
from digits.config import CompareConfig, TrainConfig, project_path, result_settings
from digits.errors import UserError
from digits.experiments import Wanted
from digits.models.build import build
from digits.reading.labelled import NO_DIGIT, Labelled, find_labelled
from digits.reading.predict import as_lines, write_picture
from digits.reading.predict import folder as made_folder
from digits.reading.reader import Reader
from digits.reading.recognize import Recognizer, read_pages
from digits.reading.score import Result, find_pages
from digits.runs import shown
from digits.tracking.figures import comparison
from digits.training import chosen_device, train

PICTURES_AT_ONCE = 32
"""Found and kept while every network reads them."""


@dataclass
class Row:
    """An experiment: what was asked for, and its runs."""

    name: str
    wanted: list[Wanted]
    folders: dict[int, Path] = field(default_factory=dict)
    """Of the finished runs, by their seeds."""
    read: list[float] = field(default_factory=list)
    """The share of the labelled pictures that each run reads rightly."""

    @cached_property
    def metrics(self) -> list[dict[str, float]]:
        """The final figures of each run."""
        return [json.loads((one / runs.METRICS_JSON).read_text(encoding="utf-8")) for one in self.folders.values()]

    @cached_property
    def epochs(self) -> list[list[dict[str, float]]]:
        """The figures of each run's epochs."""
        return [runs.read_metrics(one) for one in self.folders.values()]

    @property
    def seconds(self) -> list[float]:
        """What each run's training took, with validation."""
        return [sum(epoch["train/seconds"] for epoch in epochs) for epochs in self.epochs]

    @property
    def weights(self) -> int:
        """How many the network has."""
        config = self.wanted[0].settings
        return sum(one.numel() for one in build(config).parameters())

    def figures(self) -> dict[str, Any]:
        """Give the columns of the table; accuracies from 0 to 1, the mean over the runs with the range."""
        found: dict[str, Any] = {"experiment": self.name, "runs": len(self.folders), "weights": self.weights}
        tags = {"test_accuracy": "test/accuracy", "train_accuracy": "train/accuracy", "val_accuracy": "val/accuracy"}
        tags |= {"test_nll": "test/calibrated/nll", "test_ece": "test/calibrated/ece"}
        ranges = {key: [one[tag] for one in self.metrics if tag in one] for key, tag in tags.items()}
        for key, values in {**ranges, "own_handwriting": self.read}.items():
            if values:
                found |= {key: fmean(values), f"{key}_min": min(values), f"{key}_max": max(values)}
        rates = [epoch["train/images_per_second"] for epochs in self.epochs for epoch in epochs]
        found["training_seconds"] = fmean(self.seconds)
        found["images_per_second"] = median(rates)
        found["folders"] = " ".join(map(shown, self.folders.values()))
        return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in found.items()}


def compare(config: CompareConfig, wanted: dict[str, list[Wanted]]) -> None:
    """Make the runs that are not there, and write table.md, table.csv and comparison.png.

    Args:
        config: the settings of conf/compare.yaml.
        wanted: the runs of each row.

    Raises:
        UserError: at the end, for runs that could not be made and pictures that could not be read.
    """
    rows = [Row(name, runs_of_row) for name, runs_of_row in wanted.items()]
    pictures, errors = find_labelled(config.pictures) if config.pictures else ([], [])
    out = project_path(config.outputs_dir) / "compare" if config.out is None else Path(config.out).expanduser()
    if config.train:
        made_folder("out", out)  # before minutes of training
    _fill(rows, config, errors)
    done = [row for row in rows if row.folders]
    _read(done, pictures, errors)
    table = [row.figures() for row in done]
    if table:
        made_folder("out", out)
        text = _markdown(done, table, out)
        runs.write_text(out / "table.md", text)
        runs.write_text(out / "table.csv", runs.as_csv(table))
        write_picture(out / "comparison.png", _picture(done))
        sys.stdout.write(text)
        sys.stderr.write(f"table.md, table.csv and comparison.png are in {shown(out)}\n")
    if errors:
        raise UserError(as_lines(errors))


def _fill(rows: list[Row], config: CompareConfig, errors: list[UserError]) -> None:
    """Find the runs, go on with those that were stopped, or make them; one that fails does not stop the others."""
    finished = _made_of(runs.finished(config.outputs_dir))
    stopped = _made_of(runs.unfinished(config.outputs_dir, "*"))
    wanted = [(row, one) for row in rows for one in row.wanted]
    for number, (row, one) in enumerate(wanted, 1):
        title = f"{row.name}, seed {one.settings.seed}"
        try:
            settings = precision.resolved(one.settings, chosen_device(one.settings))
        except UserError as error:
            errors.append(UserError(f"{title}: {error}"))
            continue
        made_of = result_settings(settings)
        found = next((folder for folder, others in finished if others == made_of), None)
        if found is not None:
            sys.stderr.write(f"{number} of {len(wanted)}: {title}: {shown(found)}\n")
        elif not config.train:
            errors.append(UserError(f"{title}: there is no such run in {project_path(config.outputs_dir)}"))
        else:
            sys.stderr.write(f"\n{number} of {len(wanted)}: {title}\n")
            half = next((folder for folder, others in stopped if others == made_of), None)
            settings = replace(settings, run_name=_free_name(row.name, settings), resume=str(half) if half else None)
            try:
                found = train(settings, one.typed)
            except UserError as error:
                errors.append(UserError(f"{title}: {error}"))
            else:
                finished.append((found, made_of))
        if found is not None:
            row.folders[settings.seed] = found


def _made_of(folders: list[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """Give runs with the settings that shape their results."""
    found = []
    for folder in folders:
        try:
            found.append((folder, result_settings(resuming.load_settings(folder))))
        except UserError:
            continue  # of an older version of the project, or damaged
    return found


def _free_name(name: str, settings: TrainConfig) -> str:
    """Name a run's folder by its row and its seed, with _2 behind it where there is such a folder already."""
    plain = "_".join("".join(one if one.isalnum() or one in "._-" else " " for one in name).split())
    place = project_path(settings.outputs_dir) / settings.model.name
    names = (f"{plain}_seed{settings.seed}" + (f"_{number}" if number > 1 else "") for number in itertools.count(1))
    return next(one for one in names if not (place / one).exists())


def _read(rows: list[Row], pictures: list[Labelled], errors: list[UserError]) -> None:
    """Read the labelled pictures with every run."""
    digits = [one for one in pictures if one.label != NO_DIGIT]
    models = [one / runs.MODEL_FILE for row in rows for one in row.folders.values()]
    recognizers = [Recognizer(Reader(model), "auto", reject=True) for model in models if digits]
    right = [0] * len(recognizers)
    count, pages = 0, find_pages(digits, errors)
    while batch := list(itertools.islice(pages, PICTURES_AT_ONCE)):
        count += len(batch)
        for place, recognizer in enumerate(recognizers):
            answers = read_pages(recognizer, batch)
            right[place] += sum(Result(picture, found).right for picture, _, found in answers)
    if count:
        shares = iter(right)
        for row in rows:
            row.read = [next(shares) / count for _ in row.folders]


def _picture(rows: list[Row]) -> Image.Image:
    accuracies = {"the test": [[one["test/accuracy"] for one in row.metrics] for row in rows]}
    if rows[0].read:
        accuracies["own handwriting"] = [row.read for row in rows]
    return Image.fromarray(comparison([row.name for row in rows], accuracies, [row.seconds for row in rows]))


def _markdown(rows: list[Row], table: list[dict[str, Any]], out: Path) -> str:
    """Lay the table out, with a link to each run from where the file is."""
    heads = ["experiment", "weights", "test accuracy", "NLL", "ECE", "val accuracy", "train accuracy", "training"]
    own = "own_handwriting" in table[0]
    lines = []
    for row, figures in zip(rows, table, strict=True):
        cells = [
            figures["experiment"],
            f"{figures['weights']:,}",
            _range(figures, "test_accuracy"),
            f"{figures['test_nll']:.4f}",
            f"{100 * figures['test_ece']:.2f} %",
            _range(figures, "val_accuracy"),
            _range(figures, "train_accuracy"),
            f"{figures['training_seconds']:.1f} s",
            f"{figures['images_per_second']:,.0f}",
            *([_range(figures, "own_handwriting")] if own else []),
        ]
        links = ", ".join(f"[{seed}]({quote(os.path.relpath(one, out))})" for seed, one in row.folders.items())
        lines.append(f"| {' | '.join((*cells, links))} |")
    heads += ["images/s", *(["own handwriting"] if own else []), "runs, by seed"]
    return "\n".join((f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *lines)) + "\n"


def _range(figures: dict[str, Any], key: str) -> str:
    if key not in figures:
        return ""  # nothing was held out to validate with
    mean, least, most = (100 * figures[one] for one in (key, f"{key}_min", f"{key}_max"))
    return f"{mean:.2f} % ({least:.2f} to {most:.2f})"
