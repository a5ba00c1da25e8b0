"""A study: its trials, over several processes and after kills, and what it leaves behind."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from conftest import Command, Outcome
from optuna.trial import TrialState
from run_folders import table

from digits import runs
from digits.config.train import TrainConfig
from digits.errors import DivergedError
from digits.experiments.sweep import study as studies
from digits.files import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def arguments(tiny: list[str], tmp_path: Path) -> list[str]:
    own = ["model=sigmoid", "study=tiny", "data.train_size=256"]
    return [*tiny, *own, f"outputs_dir={tmp_path / 'outputs'}"]


@pytest.fixture
def sweep(command: Command, arguments: list[str]) -> Command:
    """Run sweep.py on tiny data."""

    def run(*more: str, code: int = 0) -> Outcome:
        return command("sweep", *arguments, *more, code=code)

    return run


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a trial's run finish without training; how it validates depends on its learning rate."""

    def finish(settings: TrainConfig, *_: object, **__: object) -> None:
        folder = Path(settings.outputs_dir) / settings.model.name / str(settings.run_name)
        folder.mkdir(parents=True)
        metrics = {"val/loss": settings.optimizer.learning_rate}
        (folder / runs.METRICS_JSON).write_text(json.dumps(metrics), encoding="utf-8")
        (folder / runs.MODEL_FILE).touch()

    monkeypatch.setattr(studies, "train", finish)


def loaded(folder: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="tiny", storage=f"sqlite:///{folder / 'study.db'}").trials


@pytest.mark.usefixtures("at_once")
def test_a_sweep_leaves_a_table_pictures_and_an_experiment_and_goes_on(
    sweep: Command, command: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "outputs" / "sweeps" / "tiny"
    done = sweep("trials=1", "data.synthetic_count=500")
    assert done.err.count("trial 0: ") == 1
    first = table(folder / "table.csv")
    done = sweep("trials=2", "data.synthetic_count=500", "seed=7", code=2)
    assert done.err.startswith("error: seed")
    assert "as study=tiny was begun; or give study another name" in done.err
    done = sweep("trials=2", "data.synthetic_count=500")
    rows = table(folder / "table.csv")
    assert rows[:1] == first
    assert [row["trial"] for row in rows] == ["0", "1"]
    best = min(rows, key=lambda row: float(row["val/loss"]))
    assert f"2 of 2 done; best val/loss: {float(best['val/loss']):.5g}, trial {best['trial']}\n" in done.err
    for name in ("history", "importance"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert float(best["val/loss"]) == float(best["optimizer.learning_rate"])
    experiment = (folder / "experiment" / "tiny.yaml").read_text(encoding="utf-8")
    assert "synthetic_count: 500" in experiment
    composed = command("train", "--config-dir", str(folder), "experiment=tiny", "--cfg", "job").out
    for key in ("optimizer.learning_rate", "optimizer.weight_decay", "data.batch_size"):
        assert f"{key.partition('.')[2]}: {best[key]}\n" in composed
    assert f"name: {best['schedule']}\n" in composed


def test_a_trial_is_the_network_that_it_starts_from(command: Command, tiny: list[str], tmp_path: Path) -> None:
    outputs = f"outputs_dir={tmp_path / 'outputs'}"
    command("train", *tiny, outputs, "model=mlp", "model.hidden=[9]", "run_name=first")
    first = f"start_from={tmp_path / 'outputs' / 'mlp' / 'first'}"
    command("sweep", *tiny, outputs, first, "study=tiny", "trials=1")
    assert (tmp_path / "outputs" / "sweeps" / "tiny" / "mlp" / "trial_0" / "model.onnx").exists()
    done = command("sweep", *tiny, outputs, first, "model=sigmoid", "study=other", "trials=1", code=2)
    assert f"error: model=sigmoid: {first} is another network" in done.err
    done = command("train", *tiny, outputs, first, "model=mlp", "model.hidden=[8]", code=2)
    assert done.err.endswith(f"error: model=mlp: {first} is another network, model.hidden=[9]; leave it out\n")


def test_a_trial_whose_process_died_is_gone_on_with(
    sweep: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "outputs" / "sweeps" / "tiny"
    reported = studies.PruneTrial.on_train_epoch_end

    def die(self: studies.PruneTrial, trainer: Any, module: Any) -> None:
        reported(self, trainer, module)
        if trainer.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(studies.PruneTrial, "on_train_epoch_end", die)
        killed = sweep("trials=1", "trainer.max_epochs=3", code=143)
    assert killed.err.endswith("stopped. To go on, the same command\n")
    assert [trial.state for trial in loaded(folder)] == [TrialState.RUNNING]
    with contextlib.closing(sqlite3.connect(folder / "study.db", isolation_level=None)) as database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-1 hour')")
    sweep("trials=1", "trainer.max_epochs=3")
    failed, finished = loaded(folder)
    assert (failed.state, finished.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert failed.params == finished.params
    assert sorted(finished.intermediate_values) == [1, 2, 3]
    (row,) = table(folder / "table.csv")
    assert row["folder"] == "sigmoid/trial_0"
    assert "going on from" in (folder / "sigmoid" / "trial_0" / "train.log").read_text(encoding="utf-8")


def test_two_processes_share_a_study(sweep: Command, arguments: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "sweeps" / "tiny"
    typed = [sys.executable, str(ROOT / "src" / "sweep.py"), *arguments, "trials=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    other = subprocess.Popen(typed, env=environment, stderr=subprocess.PIPE, text=True)
    sweep("trials=2")
    _, errors = other.communicate(timeout=300)
    assert other.returncode == 0, errors
    done = [trial for trial in loaded(folder) if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(done) in (2, 3)  # both may have been at their last one
    assert len({json.dumps(trial.params, sort_keys=True) for trial in done}) == len(done)
    assert len({trial.user_attrs["folder"] for trial in done}) == len(done)
    assert len(table(folder / "table.csv")) == len(done)


def test_what_diverges_is_pruned_and_a_bad_trial_too(
    sweep: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "outputs" / "sweeps" / "tiny"

    def diverge(*_: object, **__: object) -> None:
        raise DivergedError("train/loss=nan")

    with monkeypatch.context() as patch:
        patch.setattr(studies, "train", diverge)
        sweep("trials=1", "trainer.max_epochs=2")
    assert [one.state for one in loaded(folder)] == [TrialState.PRUNED]
    assert not (folder / "experiment").exists()
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Trial, "should_prune", lambda _: True)
        sweep("trials=2", "trainer.max_epochs=2")
    pruned = table(folder / "table.csv")[1]
    assert (pruned["state"], pruned["epochs"]) == ("pruned", "1")
    assert not (folder / pruned["folder"] / "checkpoints").exists()  # or resume=auto would go on with it


def test_a_database_that_cannot_be_used_is_one_line(sweep: Command, tmp_path: Path) -> None:
    file = tmp_path / "outputs" / "sweeps" / "tiny" / "study.db"
    file.parent.mkdir(parents=True)
    file.write_text("no database" * 100)
    done = sweep(code=2)
    assert done.err.startswith(f"error: {file}: cannot be used as the study's database (")
    assert done.err.count("\n") == 1
