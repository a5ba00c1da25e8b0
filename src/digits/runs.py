"""A run's folder: outputs/<model>/<date>_<time>/. A run is finished when its model.onnx is there, written last."""

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from digits.errors import UserError
from digits.files import file_errors, new_folder, project_path

MODEL_FILE = "model.onnx"
CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.csv"
METRICS_JSON = "metrics.json"
BEST_CHECKPOINT = Path("checkpoints", "best.ckpt")
LAST_CHECKPOINT = Path("checkpoints", "last.ckpt")
PREVIOUS_CHECKPOINT = Path("checkpoints", "previous.ckpt")
RESUMABLE = (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT)
"""What a run can go on from, the newest first."""

PAGES = "pages"
"""The network that finds digits, which no image of a digit can be read with."""

MULTIRUNS = "sweeps/*"
"""Folders of train.py -m and of sweep.py, each with runs as outputs/ has them."""

EXIT_OUT_OF_TIME = 124
"""The exit code of a run that its time limit stopped; `timeout` has it for a program that took longer than it may."""

MAX_METRICS_BYTES = 2**28
"""A million epochs have less."""


def create(outputs_dir: str, model: str, run_name: str | None, restart: bool = False) -> Path:
    """Make a new run's folder; a run that starts in the same second gets its own, with _2 behind the time.

    Args:
        outputs_dir: where all runs are.
        model: the network's name.
        run_name: the folder's; None for date and time.
        restart: whether to take the folder of a run of that name that was stopped before its first checkpoint.

    Raises:
        UserError: if there is a run of that name already, or nothing can be written there.
    """
    name = run_name or datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
    folder = project_path(outputs_dir) / model / name
    try:
        if run_name is None:
            return new_folder(folder)
        folder.mkdir(parents=True)
    except FileExistsError as error:
        if (folder / MODEL_FILE).exists():
            expected = f"choose another name, or train it further: resume={folder} trainer.max_epochs=N"
        elif is_resumable(folder):
            expected = f"choose another name, or go on with it: resume={folder}"
        elif restart:
            with lock(folder):  # another process may be about to keep its first checkpoint
                for event_file in folder.glob("events.out.tfevents.*"):
                    event_file.unlink()
            return folder
        else:
            expected = "choose another name, or start it again: resume=auto"
        raise UserError(f"run_name={run_name}: {folder} is there already; {expected}") from error
    except OSError as error:
        raise UserError(f"outputs_dir={outputs_dir}: cannot make {folder} ({error.strerror})") from error
    return folder


@contextmanager
def time_limit_errors() -> Iterator[None]:
    """Make a run's end at its time limit a UserError, where other runs are to follow."""
    try:
        yield
    except SystemExit as stop:
        if stop.code != EXIT_OUT_OF_TIME:
            raise
        raise UserError("stopped when trainer.max_time was over") from stop


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keep a run's folder for this process while it trains there; where the system has locks, which Windows has not.

    Raises:
        UserError: if another process trains there.
    """
    try:
        import fcntl
    except ImportError:  # and no folder can be opened there
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{folder}: another process trains there; stop it, or wait for it") from error
        except OSError:
            pass  # a network drive without locks
        yield
    finally:
        os.close(descriptor)


def unfinish(folder: Path) -> None:
    """Remove what says that a run is finished, because it goes on.

    Raises:
        UserError: if that cannot be removed.
    """
    with file_errors(folder):
        for name in (METRICS_JSON, MODEL_FILE):
            (folder / name).unlink(missing_ok=True)


def is_resumable(folder: Path) -> bool:
    """Whether a run has a checkpoint that it can go on from."""
    return any((folder / checkpoint).is_file() for checkpoint in RESUMABLE)


def finished(outputs_dir: str) -> list[Path]:
    """Return the folders of the runs that finished, the newest first; without those of the page network."""
    files = _newest_first(outputs_dir, f"*/*/{MODEL_FILE}", f"{MULTIRUNS}/*/*/{MODEL_FILE}")
    return [file.parent for file in files if file.parents[1].name != PAGES]


def unfinished(outputs_dir: str, model: str = "*") -> list[Path]:
    """Return the folders of the runs that have a checkpoint but did not finish, the newest first."""
    starts = ("", f"{MULTIRUNS}/")
    patterns = [f"{start}{model}/*/{checkpoint}" for start in starts for checkpoint in RESUMABLE]
    folders = dict.fromkeys(file.parents[1] for file in _newest_first(outputs_dir, *patterns))
    return [folder for folder in folders if not (folder / MODEL_FILE).exists()]


def _newest_first(outputs_dir: str, *patterns: str) -> list[Path]:
    times = {}
    for pattern in patterns:
        for file in project_path(outputs_dir).glob(pattern):
            with suppress(FileNotFoundError):  # removed meanwhile
                times[file] = file.stat().st_mtime_ns
    return sorted(times, key=lambda file: -times[file])


def newest_finished(outputs_dir: str) -> Path | None:
    """Return the folder of the run that finished last, None if there is none."""
    return next(iter(finished(outputs_dir)), None)


def read_figures(folder: Path) -> dict[str, float]:
    """Read the metrics.json of a finished run: its last epoch's figures, and those of the test."""
    figures: dict[str, float] = json.loads((folder / METRICS_JSON).read_text(encoding="utf-8"))
    return figures


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Read the metrics.csv of a run, a row an epoch; a run that has none yet has no rows.

    Raises:
        UserError: if it is damaged.
    """
    path = folder / METRICS_FILE
    if not path.exists():
        return []
    try:
        if path.stat().st_size > MAX_METRICS_BYTES:
            raise ValueError(f"has more than {MAX_METRICS_BYTES} bytes")
        with path.open(encoding="utf-8", newline="") as lines:
            rows = [{tag: _number(text) for tag, text in row.items()} for row in csv.DictReader(lines, strict=True)]
        complete = [row["epoch"] for row in rows] == list(range(len(rows)))
    except (OSError, AttributeError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{path}: is damaged ({error}); restore the file") from error
    if not complete:
        raise UserError(f"{path}: is damaged (its epochs are not 0, 1, 2, ...); restore the file")
    return rows


def _number(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)
