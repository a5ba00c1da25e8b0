"""Read pictures and show or write what is on them."""

import os
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from digits.config.commands import PredictConfig
from digits.errors import UserError, raise_all
from digits.files import expanded, made_folder, short_name, write_picture, write_text
from digits.formats.npz import is_npz
from digits.handwriting.load import find_pictures, open_picture
from digits.reading.explain import annotate, explain
from digits.reading.many import Source, read, read_array, read_on_all_cores
from digits.reading.predictions import Prediction, as_csv, as_json, as_table
from digits.reading.reader import SHIPPED_BESIDE, PageReader, Reader, digit_network_path, page_network_path
from digits.reading.recognize import Recognizer

DEVICES = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))
"""Folders of what is no file, even where it leads to one."""


def predict(config: PredictConfig) -> None:
    """Read the pictures that the config names and show or write the predictions.

    What cannot be read is named on stderr, a line each, and the exit code is 2; the others are read.

    Raises:
        UserError: if no picture can be read, no model is there, or the predictions cannot be written.
    """
    files, errors = find_pictures(config.img if isinstance(config.img, list) else [config.img])
    if not files:
        raise_all(errors)
    model, pages = digit_network_path(config.run, config.outputs_dir), page_network_path(config.pages)
    out, annotated = (
        None if path is None else _writable(key, expanded(path), [*files, model, *SHIPPED_BESIDE, pages])
        for key, path in (("out", config.out), ("annotate", config.annotate))
    )
    if annotated is not None and (len(files) > 1 or errors):
        raise UserError(f"annotate={annotated}: is one picture, and img= names {len(files) + len(errors)}")
    if out is not None and annotated is not None and os.path.realpath(out) == os.path.realpath(annotated):
        raise UserError(f"annotate={annotated}: is where the predictions go; give another name")
    picture_setting = next((key for key in ("explain", "annotate") if getattr(config, key) is not None), None)
    if picture_setting is not None and any(map(is_npz, files)):
        arrays = next(filter(is_npz, files))
        raise UserError(f"{picture_setting}: is for picture files, and {arrays} has arrays")
    reader = Reader(model, config.accelerator)
    page_network = PageReader(pages, config.accelerator)
    explained = None if config.explain is None else made_folder("explain", expanded(config.explain))
    if explained is not None and any(file.parent.samefile(explained) for file in files):
        raise UserError(f"explain={explained}: has pictures that are to be read; give a folder of its own")
    recognizer = Recognizer(reader, page_network, config.digits, config.reject, config.rotate)
    sys.stderr.write(f"reading with {reader.title}\n")
    if picture_setting is None:
        predictions = _read(recognizer, files, errors)
    else:
        predictions = _read_and_draw(recognizer, files, errors, explained, annotated)
    if predictions:
        text = {"table": as_table, "json": as_json, "csv": as_csv}[config.format](predictions)
        if out is None:
            sys.stdout.write(text)
        else:
            write_text(out, text)
            sys.stderr.write(f"{len(predictions)} predictions are in {out}\n")
    raise_all(errors)


def _read(recognizer: Recognizer, files: Iterable[Path], errors: list[UserError]) -> list[Prediction]:
    """Read files in their order; what cannot be read is added to the errors."""
    predictions: list[Prediction] = []
    for are_arrays, group in groupby(files, is_npz):
        if not are_arrays:
            read_files, unreadable = read_on_all_cores(recognizer, [*map(Source, group)])
            predictions += read_files
            errors += unreadable
            continue
        for file in group:
            try:
                of_array, unreadable = read_array(recognizer, file)
            except UserError as error:
                errors.append(error)
            else:
                predictions += of_array
                errors += unreadable
    return predictions


def _read_and_draw(
    recognizer: Recognizer,
    files: list[Path],
    errors: list[UserError],
    explained: Path | None,
    annotated: Path | None,
) -> list[Prediction]:
    """Read files in their order, and draw the steps of each into a folder, or boxes over the only one.

    What cannot be read, or drawn, is added to the errors.
    """
    predictions: list[Prediction] = []
    for prediction, page, rows in read(recognizer, map(Source, files), errors):
        predictions.append(prediction)
        try:
            if explained is not None:
                name = f"{len(predictions):03}_{short_name(Path(prediction.file).stem)}.png"
                write_picture(explained / name, explain(page, rows))
            if annotated is not None:
                write_picture(annotated, annotate(open_picture(files[0]).image, rows))
        except UserError as error:
            errors.append(error)
    return predictions


def _writable(key: str, path: Path, inputs: list[Path]) -> Path:
    """Return the path if a file can be written there, before the work and not after it.

    Raises:
        UserError: if it is a folder or a device, in no folder or a write-protected one, or one of the files that are
            to be read.
    """
    if path.exists() and any(path.samefile(file) for file in inputs if file.exists()):
        raise UserError(f"{key}={path}: would be written over, and is to be read; give another name")
    # the whole file would be put in the place of a device, or of the file that /dev/stdout leads to
    if path.exists() and (path.absolute().parent in DEVICES or not path.is_file()):
        raise UserError(f"{key}={path}: is {'a folder' if path.is_dir() else 'a device or a pipe'}; give a file's name")
    if not path.parent.is_dir():
        raise UserError(f"{key}={path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{key}={path}: {path.parent} cannot be written to; give another folder")
    return path
