"""Read pictures and say what is on them."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from PIL import Image

from digits.errors import UserError
from digits.handwriting.load import open_picture
from digits.reading.answers import Answer, as_csv, as_json, table
from digits.reading.arrays import is_array_file
from digits.reading.config import PredictConfig
from digits.reading.explain import annotate, explain
from digits.reading.many import Source, read, read_array, read_on_all_cores
from digits.reading.reader import Reader, find_model
from digits.reading.recognize import Recognizer
from digits.runs import whole, write_text

PICTURES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".pbm", ".tif", ".tiff", ".webp")
"""What is taken out of a folder; a file that is named itself is opened whatever it is called."""


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
    out, annotated = (
        None if path is None else writable(key, Path(path).expanduser(), [*files, model])
        for key, path in (("out", config.out), ("annotate", config.annotate))
    )
    if annotated is not None and (len(files) > 1 or errors):
        raise UserError(f"annotate={annotated}: is one picture, and img= names {len(files) + len(errors)}")
    if out is not None and out == annotated:
        raise UserError(f"annotate={annotated}: is where the answers go; give another name")
    picture = next((key for key in ("explain", "annotate") if getattr(config, key) is not None), None)
    if picture is not None and any(map(is_array_file, files)):
        raise UserError(f"{picture}: is for picture files, and {next(filter(is_array_file, files))} has arrays")
    explained = None if config.explain is None else folder("explain", Path(config.explain).expanduser())
    reader = Reader(model, config.accelerator)
    recognizer = Recognizer(reader, config.digits, config.reject)
    sys.stderr.write(f"reading with {reader.title}\n")
    readings: list[Answer] = []
    if explained is None and annotated is None:
        for in_arrays, group in groupby(files, is_array_file):
            if in_arrays:
                readings += _arrays(recognizer, group, errors)
            else:
                found, missed = read_on_all_cores(recognizer, [*map(Source, group)])
                readings += found
                errors += missed
    else:
        for reading, page in read(recognizer, map(Source, files), errors):
            readings.append(reading)
            if explained is not None:
                write_picture(explained / f"{len(readings):03}_{reading.file.stem}.png", explain(page, reading.rows))
            if annotated is not None:
                write_picture(annotated, annotate(open_picture(reading.file).image, reading.rows))
    if readings:
        text = {"table": table, "json": as_json, "csv": as_csv}[config.format](readings)
        if out is None:
            sys.stdout.write(text)
        else:
            write_text(out, text)
            sys.stderr.write(f"{len(readings)} answers are in {out}\n")
    if errors:
        raise UserError(as_lines(errors))


def _arrays(recognizer: Recognizer, files: Iterable[Path], errors: list[UserError]) -> list[Answer]:
    answers: list[Answer] = []
    for file in files:
        try:
            found, missed = read_array(recognizer, file)
        except UserError as error:
            errors.append(error)
        else:
            answers += found
            errors += missed
    return answers


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


def writable(key: str, path: Path, inputs: list[Path]) -> Path:
    """Give the path back if a file can be written there, before the work and not after it.

    Raises:
        UserError: if it is a folder, in none, or one of the files that are to be read.
    """
    if path.exists() and any(path.samefile(one) for one in inputs if one.exists()):
        raise UserError(f"{key}={path}: would be written over, and is to be read; give another name")
    if path.is_dir():
        raise UserError(f"{key}={path}: is a folder; give a file's name")
    if not path.parent.is_dir():
        raise UserError(f"{key}={path}: there is no folder {path.parent}")
    return path


def folder(key: str, path: Path) -> Path:
    """Make a folder if it is not there.

    Raises:
        UserError: if it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{key}={path}: cannot be made ({error.strerror}); give a folder") from error
    return path


def write_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture whole, as JPEG if its name says so, and else as PNG.

    Raises:
        UserError: if it cannot be written.
    """
    with whole(path) as temporary:
        picture.save(temporary, format="jpeg" if path.suffix.lower() in (".jpg", ".jpeg") else "png")
