"""A run's folder: outputs/<model>/<date>_<time>/. A run is finished when its model.onnx is there, written last."""

import csv
import errno
import io
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from digits.config import project_path
from digits.errors import UserError

MODEL_FILE = "model.onnx"
CONFIG_FILE = "config.yaml"
LAST_CHECKPOINT = Path("checkpoints", "last.ckpt")
PREVIOUS_CHECKPOINT = Path("checkpoints", "previous.ckpt")
RESUMABLE = (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT)
"""What a run can go on from, the newest first."""
METRICS_FILE = "metrics.csv"
METRICS_JSON = "metrics.json"
SWEPT = "sweeps/*"
"""Folders of train.py -m, each with runs as outputs/ has them."""
BEST_CHECKPOINT = Path("checkpoints", "best.ckpt")

EXIT_OUT_OF_TIME = 124
"""Of a run that its time limit stopped; what `timeout` gives for a program that took longer than it may."""

LARGEST_METRICS = 2**28
"""Bytes; a million epochs have less."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What a full or read-only disk answers."""


def create(outputs_dir: str, model: str, run_name: str | None) -> Path:
    """Make a new run's folder; a run that starts in the same second gets its own, with _2 behind the time.

    Raises:
        UserError: if the folder is there already, or nothing can be written there.
    """
    name = run_name or datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
    folder = project_path(outputs_dir) / model / name
    try:
        if run_name is None:
            return create_free(folder)
        folder.mkdir(parents=True)
    except FileExistsError as error:
        right = f"choose another name, or go on with it: resume={folder}"
        raise UserError(f"run_name={run_name}: {folder} is there already; {right}") from error
    except OSError as error:
        raise UserError(f"outputs_dir={outputs_dir}: cannot make {folder} ({error.strerror})") from error
    return folder


def create_free(wanted: Path) -> Path:
    """Make a folder; with _2, _3, ... behind its name where there is one already.

    Raises:
        OSError: if it cannot be made.
    """
    folder, number = wanted, 1
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            folder = wanted.with_name(f"{wanted.name}_{number}")
        else:
            return folder


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """Keep a run's folder for this process while it trains there; where the system has locks, which Windows has not.

    Raises:
        UserError: if another process trains there.
    """
    try:
        import fcntl
    except ImportError:  # and no folder can be opened there
        yield
        return
    place = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{folder}: another process trains there; stop it, or wait for it") from error
        except OSError:
            pass  # a network drive without locks
        yield
    finally:
        os.close(place)


def unfinish(folder: Path) -> None:
    """Take away what says that a run is finished, because it goes on.

    Raises:
        UserError: if that cannot be removed.
    """
    with user_errors(folder):
        for made_last in (METRICS_JSON, MODEL_FILE):
            (folder / made_last).unlink(missing_ok=True)


def finished(outputs_dir: str) -> list[Path]:
    """Give the folders of the runs that finished, the newest first."""
    return [file.parent for file in _newest_first(outputs_dir, f"*/*/{MODEL_FILE}", f"{SWEPT}/*/*/{MODEL_FILE}")]


def unfinished(outputs_dir: str, model: str) -> list[Path]:
    """Give the folders of the runs that have a checkpoint but did not finish, the newest first; model may be `*`."""
    kept = _newest_first(outputs_dir, *(f"{start}{model}/*/{one}" for start in ("", f"{SWEPT}/") for one in RESUMABLE))
    folders = dict.fromkeys(file.parents[1] for file in kept)
    return [folder for folder in folders if not (folder / MODEL_FILE).exists()]


def _newest_first(outputs_dir: str, *patterns: str) -> list[Path]:
    found = {}
    for pattern in patterns:
        for file in project_path(outputs_dir).glob(pattern):
            with suppress(FileNotFoundError):  # removed meanwhile
                found[file] = file.stat().st_mtime_ns
    return sorted(found, key=lambda file: -found[file])


def newest_finished(outputs_dir: str) -> Path | None:
    """Give the folder of the run that finished last, None if there is none."""
    return next(iter(finished(outputs_dir)), None)


def newest_trained(outputs_dir: str) -> Path | None:
    """Give the newest of those that were trained, which an ensemble was not; None if there is none."""
    return next((folder for folder in finished(outputs_dir) if (folder / CONFIG_FILE).is_file()), None)


def newest_unfinished(outputs_dir: str, model: str) -> Path | None:
    """Give the newest run that has a checkpoint but did not finish, None if there is none; model may be `*`."""
    return next(iter(unfinished(outputs_dir, model)), None)


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Read the metrics.csv of a run, a row an epoch; a run that has none yet has no rows.

    Raises:
        UserError: if it is damaged.
    """
    path = folder / METRICS_FILE
    if not path.exists():
        return []
    try:
        if path.stat().st_size > LARGEST_METRICS:
            raise ValueError(f"has more than {LARGEST_METRICS} bytes")
        with path.open(encoding="utf-8", newline="") as lines:
            rows = [{tag: _number(text) for tag, text in row.items()} for row in csv.DictReader(lines, strict=True)]
        whole_rows = [row["epoch"] for row in rows] == list(range(len(rows)))
    except (OSError, AttributeError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{path}: is damaged ({error}); restore the file") from error
    if not whole_rows:
        raise UserError(f"{path}: is damaged (its epochs are not 0, 1, 2, ...); restore the file")
    return rows


def _number(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)


def shown(path: Path) -> str:
    """Give a path as one would type it: relative to the working directory where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


@contextmanager
def user_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a UserError that names the path."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def room_errors(folder: Path) -> Iterator[None]:
    """Turn a full or read-only disk into a UserError that names the folder, whatever met it."""
    shown_before = threading.excepthook

    def show(arguments: threading.ExceptHookArgs) -> None:
        if not _is_no_room(arguments.exc_value):  # TensorBoard's thread hands that on, but shows it as well
            shown_before(arguments)

    threading.excepthook = show
    try:
        yield
    except OSError as error:
        if not _is_no_room(error):
            raise
        raise UserError(f"{folder}: cannot be written ({error.strerror}); what was kept before is whole") from error
    finally:
        threading.excepthook = shown_before


def _is_no_room(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in NO_ROOM


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary name beside the path; what was written there becomes the path at the end, or goes on an error.

    Raises:
        UserError: if nothing can be written there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with user_errors(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay rows, which all have the keys of the last one, out as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[-1], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_text(path: Path, text: str) -> None:
    """Write a text file whole.

    Raises:
        UserError: if it cannot be written.
    """
    with whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # or after a power cut a checkpoint might know more than metrics.csv
