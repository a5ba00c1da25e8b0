"""Several runs from one command, `train.py -m`: where they go, and how they ended, in one table."""

import json
import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, read_write

from digits import runs
from digits.command_line import one_line_errors, quoted
from digits.config.train import WITHOUT_INFLUENCE, TrainConfig
from digits.errors import UserError, refused_files, require
from digits.files import ROOT, csv_text, file_errors, markdown_table, new_folder, short_name, write_text

NOTES = "jobs"
"""The folder, in a multirun's, of what is known of each job until the table is made."""

NOT_IN_NAMES = '/\\:*?"<>|'
"""Characters that some file system does not take."""

HEADER = ("run", "settings", "validation accuracy", "test accuracy", "training", "folder")


@contextmanager
def job_errors(hydra: HydraConf) -> Iterator[None]:
    """Make a UserError a line and the end; where the job is one of several, leave it to Summary.

    One that is stopped by its time limit is a failed job; Ctrl-C and SIGTERM end all jobs, with the table of those that
    were done.
    """
    if hydra.mode != RunMode.MULTIRUN:
        with one_line_errors():
            yield
        return
    try:
        with refused_files(), runs.time_limit_errors():
            yield
    except (KeyboardInterrupt, SystemExit):
        folder = Path(hydra.sweep.dir)
        _note(folder, hydra, error="stopped")
        _write_table(folder)
        raise


def placed(settings: TrainConfig, hydra: HydraConf) -> TrainConfig:
    """Return the settings of a job of several with its folder in them, named by its number and what was typed.

    Raises:
        UserError: if they make the result depend on what other runs there are.
    """
    if hydra.mode != RunMode.MULTIRUN:
        return settings
    require(settings.resume is None, "resume", settings.resume, "null with -m, where every run is a new one")
    named = settings.run_name
    require(named is None, "run_name", named, "null with -m, which names each run by what was typed")
    one_process = settings.trainer.strategy == "auto"
    require(one_process, "trainer.strategy", "ddp", "auto with -m; start each run of several processes by itself")
    expected = "a run, or shipped, with -m, where the newest run may be another of its runs"
    require(settings.start_from != "auto", "start_from", "auto", expected)
    # in each folder's name what tells it from others; its model is the folder that it is in
    left_out = ("model", *WITHOUT_INFLUENCE)
    typed = [override for override in hydra.overrides.task if override.partition("=")[0] not in left_out]
    name = "".join("-" if letter in NOT_IN_NAMES else letter for letter in "_".join([str(hydra.job.num), *typed]))
    return replace(settings, outputs_dir=hydra.runtime.output_dir, run_name=short_name(name))


class Summary(Callback):
    """Lets the other jobs go on where one fails, and at the end says how all of them ended.

    Where the multirun's folder cannot be written, nothing goes on: Hydra would make a warning of an error here.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make the multirun's folder, and let processes that a launcher starts find this package."""
        known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys((str(ROOT / "src"), *filter(None, known))))
        wanted = Path(config.hydra.sweep.dir).absolute()  # as the runs' folders are
        with one_line_errors(), file_errors(wanted):
            folder = new_folder(wanted)  # another multirun may have started in the same second
        with read_write(config):
            config.hydra.sweep.dir = str(folder)
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(folder))}")  # for each job's config

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note how a job ended."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        folder = Path(config.hydra.sweep.dir)
        if job_return.status == JobStatus.COMPLETED:
            _note(folder, config.hydra, folder=str(job_return.return_value))
            return
        error = job_return._return_value  # the property would raise it
        job_return.return_value, job_return.status = None, JobStatus.COMPLETED  # or Hydra would end with it
        if isinstance(error, UserError):
            _note(folder, config.hydra, error=str(error))
        else:
            traceback.print_exception(error)
            _note(folder, config.hydra, error=f"{type(error).__name__}: {error}", crash=True)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the table, and exit with 2, or 1, if jobs failed."""
        failed = [note for note in _write_table(Path(config.hydra.sweep.dir)) if "error" in note]
        for note in failed:
            sys.stderr.write(f"error: {note['settings']}: {note['error']}\n")
        if failed:
            sys.exit(1 if any("crash" in note for note in failed) else 2)


def _note(multirun: Path, hydra: Any, **outcome: Any) -> None:
    """Keep how a job ended: its run's `folder`, or its `error`, and whether that was a `crash`."""
    note = {"job": hydra.job.num, "settings": list(hydra.overrides.task), **outcome}
    with one_line_errors():
        with file_errors(multirun / NOTES):
            (multirun / NOTES).mkdir(exist_ok=True)
        write_text(multirun / NOTES / f"{hydra.job.num}.json", json.dumps(note))


def _write_table(folder: Path) -> list[dict[str, Any]]:
    """Write table.md and table.csv to the multirun's folder, show the table, and return the notes of all jobs."""
    notes = [json.loads(file.read_text(encoding="utf-8")) for file in (folder / NOTES).glob("*.json")]
    notes.sort(key=lambda note: note["job"])
    common = set.intersection(*(set(note["settings"]) for note in notes)) if len(notes) > 1 else set()
    for note in notes:
        note["settings"] = " ".join(override for override in note["settings"] if override not in common)
    rows = [_row(note, folder) for note in notes]
    table = markdown_table(HEADER, rows)
    with one_line_errors():
        write_text(folder / "table.csv", csv_text([dict(zip(HEADER, row, strict=True)) for row in rows]))
        write_text(folder / "table.md", table)
    shutil.rmtree(folder / NOTES)
    sys.stdout.write(f"{table}{folder / 'table.md'}\n")
    return notes


def _row(note: dict[str, Any], folder: Path) -> list[str]:
    """Return a job's row of the table."""
    start = [str(note["job"]), note["settings"]]
    if "error" in note:
        return [*start, "stopped" if note["error"] == "stopped" else "failed", "", "", ""]
    run = Path(note["folder"])
    figures = runs.read_figures(run)
    seconds = sum(epoch["train/seconds"] for epoch in runs.read_metrics(run))
    accuracies = [f"{figures[tag]:.2%}" if tag in figures else "" for tag in ("val/accuracy", "test/accuracy")]
    return [*start, *accuracies, f"{seconds:.1f} s", str(run.relative_to(folder))]
