"""Several runs from one command, `train.py -m`: where they go, and how they ended, in one table."""

import json
import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
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
from digits.config import ROOT, WITHOUT_INFLUENCE, TrainConfig
from digits.errors import UserError, require

NOTES = "jobs"
"""The folder, in a sweep's, of what is known of each job until the table is made."""

NOT_IN_NAMES = '/\\:*?"<>|'
"""Characters that some file system does not take."""

LONGEST_NAME = 150
"""Bytes of a folder's name; file systems take 255."""

HEADER = ("run", "settings", "validation accuracy", "test accuracy", "training", "folder")


def errors(hydra: HydraConf) -> AbstractContextManager[None]:
    """Give what a UserError meets: a line and the end, or where the job is one of several, Summary."""
    return _noted_errors() if hydra.mode == RunMode.MULTIRUN else one_line_errors()


@contextmanager
def _noted_errors() -> Iterator[None]:
    try:
        yield
    except SystemExit as stop:
        if stop.code != runs.EXIT_OUT_OF_TIME:
            raise
        raise UserError("stopped when trainer.max_time was over") from stop


def placed(settings: TrainConfig, hydra: HydraConf) -> TrainConfig:
    """Give the settings of a job of several with its folder in theirs, named by its number and what was typed.

    Raises:
        UserError: if they make the result depend on what other runs there are.
    """
    if hydra.mode != RunMode.MULTIRUN:
        return settings
    require(settings.resume is None, "resume", settings.resume, "null with -m, where every run is a new one")
    one_process = settings.trainer.strategy == "auto"
    require(one_process, "trainer.strategy", "ddp", "auto with -m; start each run of several processes by itself")
    right = "a run, or shipped, with -m, where the newest run may be another of its runs"
    require(settings.start_from != "auto", "start_from", "auto", right)
    # in each folder's name what tells it from others; its model is the folder that it is in
    typed = [one for one in hydra.overrides.task if one.partition("=")[0] not in ("model", *WITHOUT_INFLUENCE)]
    name = "".join("-" if one in NOT_IN_NAMES else one for one in "_".join([str(hydra.job.num), *typed]))
    name = name.encode()[:LONGEST_NAME].decode(errors="ignore").strip()
    return replace(settings, outputs_dir=hydra.runtime.output_dir, run_name=name)


class Summary(Callback):
    """Lets the other jobs go on where one fails, and at the end says how all of them ended.

    Where the sweep's folder cannot be written, nothing goes on: Hydra would make a warning of an error here.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make the sweep's folder, and let processes that a launcher starts find this package."""
        known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys((str(ROOT / "src"), *filter(None, known))))
        wanted = Path(config.hydra.sweep.dir)
        with one_line_errors(), runs.user_errors(wanted):
            folder = runs.create_free(wanted)  # another sweep may have started in the same second
        with read_write(config):
            config.hydra.sweep.dir = str(folder)
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(folder))}")  # for each job's config

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note how a job ended."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        note = {"job": config.hydra.job.num, "settings": list(config.hydra.overrides.task)}
        if job_return.status == JobStatus.COMPLETED:
            note["folder"] = str(job_return.return_value)
        else:
            error = job_return._return_value  # the property would raise it
            note["error"] = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            note["crash"] = not isinstance(error, UserError)
            if note["crash"]:
                traceback.print_exception(error)
            job_return.return_value, job_return.status = None, JobStatus.COMPLETED  # or Hydra would end with it
        notes = Path(config.hydra.sweep.dir, NOTES)
        with one_line_errors():
            with runs.user_errors(notes):
                notes.mkdir(exist_ok=True)
            runs.write_text(notes / f"{note['job']}.json", json.dumps(note))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write table.md and table.csv to the sweep's folder, show the table, and exit with 2, or 1, if jobs failed."""
        folder = Path(config.hydra.sweep.dir)
        notes = [json.loads(file.read_text(encoding="utf-8")) for file in (folder / NOTES).glob("*.json")]
        notes.sort(key=lambda note: note["job"])
        common = set.intersection(*(set(note["settings"]) for note in notes)) if len(notes) > 1 else set()
        for note in notes:
            note["settings"] = " ".join(one for one in note["settings"] if one not in common)
        rows = [_row(note, folder) for note in notes]
        table = "".join(f"| {' | '.join(one)} |\n" for one in (HEADER, ["---"] * len(HEADER), *rows))
        with one_line_errors():
            runs.write_text(folder / "table.csv", runs.as_csv([dict(zip(HEADER, one, strict=True)) for one in rows]))
            runs.write_text(folder / "table.md", table)
        shutil.rmtree(folder / NOTES)
        sys.stdout.write(f"{table}{folder / 'table.md'}\n")
        failed = [note for note in notes if "error" in note]
        for note in failed:
            sys.stderr.write(f"error: {note['settings']}: {note['error']}\n")
        if failed:
            sys.exit(1 if any(note["crash"] for note in failed) else 2)


def _row(note: dict[str, Any], folder: Path) -> list[str]:
    """Give a job's row of the table."""
    start = [str(note["job"]), note["settings"]]
    if "error" in note:
        return [*start, "failed", "", "", ""]
    made = Path(note["folder"])
    figures = json.loads((made / runs.METRICS_JSON).read_text(encoding="utf-8"))
    seconds = sum(epoch["train/seconds"] for epoch in runs.read_metrics(made))
    accuracies = [f"{figures[tag]:.2%}" if tag in figures else "" for tag in ("val/accuracy", "test/accuracy")]
    return [*start, *accuracies, f"{seconds:.1f} s", str(made.relative_to(folder))]
