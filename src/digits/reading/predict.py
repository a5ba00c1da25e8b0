"""Read pictures and say what is on them: a table, JSON or CSV."""

import csv
import glob
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.config import PredictConfig
from digits.errors import UserError
from digits.handwriting.load import load
from digits.handwriting.normalize import normalize
from digits.reading.reader import Reader, find_model
from digits.runs import write_text

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".pbm", ".tif", ".tiff", ".webp")
"""What is taken out of a folder; a file that is named itself is opened whatever it is called."""

PICTURES_AT_ONCE = 512
"""How many 28x28 images go through the network together; bounds the memory."""

WIDE = 200
"""Columns of a table that goes to a file or another program."""

UNREADABLE = "?"
"""The answer where there is none; the reason says why."""


@dataclass(frozen=True)
class Reading:
    """What was read in one picture."""

    file: Path
    reason: str = ""
    """Why there is no answer; empty where there is one."""
    probabilities: tuple[float, ...] = ()
    """Of the digits 0 to 9; empty where there is no answer."""

    @property
    def ranking(self) -> list[int]:
        """The digits, the likeliest first."""
        return sorted(range(len(self.probabilities)), key=lambda digit: -self.probabilities[digit])

    def record(self) -> dict[str, Any]:
        """Give the reading under the names that CSV and JSON have."""
        answer = str(self.ranking[0]) if self.probabilities else UNREADABLE
        confidence = round(max(self.probabilities), 6) if self.probabilities else None
        chances = {f"p{n}": round(self.probabilities[n], 6) if self.probabilities else None for n in range(10)}
        return {
            "file": printable(self.file),
            "answer": answer,
            "confidence": confidence,
            "reason": self.reason,
            **chances,
        }


def predict(config: PredictConfig) -> None:
    """Read the pictures that the config names and show or write the answers.

    What cannot be read is named on stderr, a line each, and the exit code is 2; the others are read.

    Raises:
        UserError: if no picture can be read, no model is there, or the answers cannot be written.
    """
    files, errors = find_pictures(config.img if isinstance(config.img, list) else [config.img])
    if not files:
        raise UserError(as_lines(errors))
    model = find_model(config.run, config.outputs_dir)
    out = None if config.out is None else writable(Path(config.out).expanduser(), [*files, model])
    reader = Reader(model)
    sys.stderr.write(f"reading with {model}\n")
    groups = (files[start : start + PICTURES_AT_ONCE] for start in range(0, len(files), PICTURES_AT_ONCE))
    outcomes = [outcome for group in groups for outcome in read(reader, group)]
    readings = [outcome for outcome in outcomes if isinstance(outcome, Reading)]
    if readings:
        text = {"table": table, "json": as_json, "csv": as_csv}[config.format](readings)
        if out is None:
            sys.stdout.write(text)
        else:
            write_text(out, text)
            sys.stderr.write(f"{len(readings)} answers are in {out}\n")
    errors += [outcome for outcome in outcomes if isinstance(outcome, UserError)]
    if errors:
        raise UserError(as_lines(errors))


def as_lines(errors: list[UserError]) -> str:
    """Put several errors into one, a line each."""
    return "\nerror: ".join(map(str, errors))


def find_pictures(names: Iterable[object]) -> tuple[list[Path], list[UserError]]:
    """Give the picture files that files, folders (with all that is in them) and patterns name, each once.

    Returns:
        The files, and an error for each name under which there is no picture.
    """
    found: dict[Path, Path] = {}
    errors = []
    for name in map(str, names):
        path = Path(name).expanduser()
        if path.is_dir():
            pictures = [one for one in _walk(path) if one.suffix.lower() in PICTURES]
            missing = f"has no pictures ({' '.join(PICTURES)})"
        elif path.exists():
            pictures, missing = [path], ""
        else:
            pictures = sorted(Path(one) for one in glob.glob(str(path), recursive=True) if Path(one).is_file())
            missing = "no such file or folder; a list is written [a.png,b.png]"
            if glob.has_magic(str(path)):
                missing = "no file matches this pattern"
        if not pictures:
            errors.append(UserError(f"img={name}: {missing}"))
        for picture in pictures:
            found.setdefault(picture.resolve(), picture)
    return list(found.values()), errors


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(parent, file) for file in sorted(files) if not file.startswith("."))


def read(reader: Reader, files: list[Path]) -> list[Reading | UserError]:
    """Read some pictures together; what cannot be read gives its error in its place."""
    outcomes: list[Reading | UserError] = []
    images: list[NDArray[np.float32]] = []
    places: list[int] = []
    for file in files:
        try:
            image = normalize(load(file))
        except UserError as error:
            outcomes.append(error)
            continue
        if image is not None:
            images.append(image)
            places.append(len(outcomes))
        outcomes.append(Reading(file, reason="no ink"))
    if images:
        for place, row in zip(places, reader.probabilities(np.stack(images)), strict=True):
            outcomes[place] = Reading(files[place], probabilities=tuple(map(float, row)))
    return outcomes


def writable(path: Path, inputs: list[Path]) -> Path:
    """Give the path back if a file can be written there, before the work and not after it.

    Raises:
        UserError: if it is a folder, in none, or one of the files that are to be read.
    """
    if path.exists() and any(path.samefile(one) for one in inputs if one.exists()):
        raise UserError(f"out={path}: would be written over, and is to be read; give another name")
    if path.is_dir():
        raise UserError(f"out={path}: is a folder; give a file's name")
    if not path.parent.is_dir():
        raise UserError(f"out={path}: there is no folder {path.parent}")
    return path


def printable(file: Path) -> str:
    """Give a file's name as text that can be written anywhere; bytes that are no text become a replacement mark."""
    return os.fsencode(file).decode(errors="replace")


def table(readings: list[Reading]) -> str:
    """Lay the answers out for a person: file, answer, confidence, runner-up."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table("file", "answer", "confidence", "runner-up")
    for reading in readings:
        if reading.probabilities:
            first, second = reading.ranking[:2]
            chances = [f"{reading.probabilities[digit]:.1%}" for digit in (first, second)]
            grid.add_row(Text(printable(reading.file)), str(first), chances[0], f"{second} ({chances[1]})")
        else:
            grid.add_row(Text(printable(reading.file)), UNREADABLE, reading.reason, "")
    text = io.StringIO()
    Console(file=text, width=None if sys.stdout.isatty() else WIDE).print(grid)
    return text.getvalue()


def as_json(readings: list[Reading]) -> str:
    """Give a list of objects with the keys of the CSV's header."""
    return json.dumps([reading.record() for reading in readings], indent=2, ensure_ascii=False) + "\n"


def as_csv(readings: list[Reading]) -> str:
    """Give the header `file,answer,confidence,reason,p0,...,p9` and a line for each picture."""
    text = io.StringIO()
    writer = csv.DictWriter(text, readings[0].record(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(reading.record() for reading in readings)
    return text.getvalue()
