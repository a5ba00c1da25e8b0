"""Runs go on where they stopped, as what they were."""

import io
import os
import shutil
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from conftest import Train, settings
from run_folders import figures, rows, same, steps, weights

from digits import runs
from digits.config.model import ModelConfig
from digits.errors import UserError
from digits.files import ROOT, shown
from digits.training import checkpoints, evaluate, resume, run
from digits.training.run import train


class Interrupt(L.Callback):
    """Send a signal, or the same several times, in the middle of an epoch."""

    def __init__(self, epoch: int, number: int, times: int) -> None:
        self.epoch = epoch
        self.number = number
        self.times = times

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Send it."""
        if trainer.current_epoch == self.epoch:
            for _time in range(self.times):
                os.kill(os.getpid(), self.number)


@pytest.fixture
def interrupt(fit_tiny: Train, tmp_path: Path) -> Callable[..., Path]:
    """Start a run of LeNet-5 and interrupt it in an epoch; returns its folder."""

    def start(epoch: int, *overrides: str, number: int = signal.SIGINT, times: int = 1) -> Path:
        handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
        with pytest.raises(SystemExit) as stop:
            fit_tiny("run_name=stopped", *overrides, callbacks=[Interrupt(epoch, number, times)])
        assert stop.value.code == 128 + number
        assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
        return tmp_path / "outputs" / "lenet5" / "stopped"

    return start


@pytest.mark.parametrize(("how", "number"), [("folder", signal.SIGTERM), ("file", signal.SIGINT)])
def test_a_resumed_run_equals_an_undisturbed_one(
    fit_tiny: Train, interrupt: Callable[..., Path], how: str, number: int
) -> None:
    common = ("trainer.max_epochs=3", "data.chunk_size=2", "schedule=onecycle")
    stopped = interrupt(2, *common, number=number)
    assert not (stopped / "model.onnx").exists()
    assert steps(stopped) == 2 * 4 + 2  # the chunk was finished and kept
    log = (stopped / "train.log").read_text(encoding="utf-8")
    line = log.split("To go on:")[1].splitlines()[1]
    assert line.split() == ["python", shown(ROOT / "src" / "train.py"), f"resume={shown(stopped)}"]
    resume = {"folder": stopped, "file": stopped / "checkpoints" / "last.ckpt"}[how]
    resumed = fit_tiny(*common, f"resume={resume}")
    undisturbed = fit_tiny(*common)
    assert resumed == stopped
    assert same(weights(resumed), weights(undisturbed))
    assert same(weights(resumed, "best"), weights(undisturbed, "best"))
    assert rows(resumed) == rows(undisturbed)


def test_a_finished_run_goes_on_with_more_epochs(fit_tiny: Train) -> None:
    folder = fit_tiny("model=sigmoid", "optimizer.learning_rate=0.002", "schedule=none")
    longer = fit_tiny("model=sigmoid", f"resume={folder}", "trainer.max_epochs=2")
    assert longer == folder
    assert [row["epoch"] for row in rows(folder)] == ["0", "1"]
    whole = fit_tiny("model=sigmoid", "optimizer.learning_rate=0.002", "schedule=none", "trainer.max_epochs=2")
    assert same(weights(longer), weights(whole))


def test_a_run_stopped_after_its_last_epoch_is_tested_and_exported(fit_tiny: Train, train_tiny: Train) -> None:
    folder = fit_tiny()
    assert train_tiny("resume=auto") == folder
    assert (folder / "model.onnx").exists()
    assert 0 < figures(folder)["test/accuracy"] < 1


@pytest.mark.parametrize(("step", "said"), [("calibrate", "To go on:"), ("export", "stopped; the run is finished")])
def test_a_signal_after_training_waits_for_what_is_being_done(
    train_tiny: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, said: str
) -> None:
    module = evaluate if step == "calibrate" else run
    done = getattr(module, step)

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return done(*arguments)

    monkeypatch.setattr(module, step, interrupted)
    with pytest.raises(SystemExit) as stop:
        train_tiny("model=sigmoid", "run_name=stopped")
    folder = tmp_path / "outputs" / "sigmoid" / "stopped"
    assert stop.value.code == 130
    assert said in (folder / "train.log").read_text(encoding="utf-8")
    assert (folder / "model.onnx").exists() == (step == "export")


def test_resume_auto_starts_anew_where_nothing_is_unfinished(fit_tiny: Train) -> None:
    first = fit_tiny()
    (first / "model.onnx").write_bytes(b"finished")
    second = fit_tiny("resume=auto")
    assert second != first
    assert "new run" in (second / "train.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model=lenet5", "was made with model=sigmoid and goes on with it"),
        ("run_name=other", r"run_name=other: the run goes on as \S+; leave it out"),
        ("seed=5", "was made with seed=1 and goes on with it"),
        ("data.batch_size=64", "was made with data.batch_size=128 and goes on with it"),
        ("trainer.max_epochs=1", "has 1 epochs already"),
        ("experiment=lenet5_adam", r"experiment=lenet5_adam: the run .* was made of other settings"),
    ],
)
def test_a_run_goes_on_as_what_it_was(small: Path, fit_tiny: Train, override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        fit_tiny(f"resume={small}", override)


def test_a_link_that_leads_to_itself_is_no_run(fit_tiny: Train, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    with pytest.raises(UserError, match=f"resume={loop}: there is no {loop}; give the folder of a run, or auto"):
        fit_tiny(f"resume={loop}")


def test_an_interrupted_extension_is_not_finished(fit_tiny: Train, interrupt: Callable[..., Path]) -> None:
    folder = fit_tiny("run_name=stopped")
    (folder / "model.onnx").write_bytes(b"finished")
    assert interrupt(1, f"resume={folder}", "trainer.max_epochs=3") == folder
    assert not (folder / "model.onnx").exists()
    assert runs.unfinished(str(folder.parents[1])) == [folder]


def test_a_moved_run_keeps_its_best_epoch(fit_tiny: Train, tmp_path: Path) -> None:
    overrides = ("optimizer.learning_rate=1e-9", "schedule=none")  # so the first epoch stays the best
    folder = fit_tiny(*overrides, "trainer.max_epochs=2")
    best = weights(folder, "best")
    moved = tmp_path / "moved"
    folder.rename(moved)
    assert fit_tiny(f"resume={moved}", "trainer.max_epochs=3") == moved
    assert same(weights(moved, "best"), best)
    assert [row["epoch"] for row in rows(moved)] == ["0", "1", "2"]


@pytest.mark.parametrize(("model", "found"), [("model=sigmoid", False), ("seed=1", True)])
def test_resume_auto_keeps_to_the_model_that_is_named(fit_tiny: Train, model: str, found: bool) -> None:
    folder = fit_tiny()
    typed = [f"outputs_dir={folder.parents[1]}", "resume=auto", model]
    resumed = resume.find(settings(*typed), typed)
    assert (resumed and resumed.path) == (folder / "checkpoints" / "last.ckpt" if found else None)


def test_a_trainer_that_is_named_changes_the_strategy_alone(fit_tiny: Train) -> None:
    folder = fit_tiny("trainer.max_epochs=2", "trainer.early_stopping.patience=7")
    typed = [f"resume={folder}", "trainer=ddp", "trainer.max_epochs=5"]
    resumed = resume.find(settings(*typed), typed)
    assert resumed is not None
    trainer = resumed.settings.trainer
    assert (trainer.strategy, trainer.max_epochs, trainer.early_stopping.patience) == ("ddp", 5, 7)


DAMAGE: dict[str, tuple[str, Callable[[bytes], bytes | None], str]] = {
    "weights changed": ("checkpoints/last.ckpt", lambda old: old[:5000] + bytes(100) + old[5100:], "is damaged"),
    "best gone": ("checkpoints/best.ckpt", lambda _: None, "is missing"),
    "metrics of something else": ("metrics.csv", lambda _: b"not,a,csv\n1,2,3\n", "is damaged"),
    "an epoch gone": ("metrics.csv", lambda old: old.split(b"\n")[0], "has 0 epochs, not the"),
    "epochs out of order": ("metrics.csv", lambda _: b"epoch,step\n1,4\n", "are not 0, 1, 2"),
    "a setting": ("config.yaml", lambda old: old.replace(b"128", b"abc"), "data.batch_size=abc: must be a whole"),
    "config cut": ("config.yaml", lambda old: old[: len(old) // 2], "config.yaml"),
    "config a list": ("config.yaml", lambda _: b"- 1\n", "is not the folder of a run"),
    "config no text": ("config.yaml", lambda _: b"\xff\xfe\x00", "is not the folder of a run"),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Path:
    """A finished run to damage copies of."""
    typed = [*tiny, "model=sigmoid", f"outputs_dir={tmp_path_factory.mktemp('outputs')}"]
    return train(settings(*typed), typed)


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_run_is_named_before_anything_is_written(
    small: Path, tmp_path: Path, fit_tiny: Train, kind: str
) -> None:
    name, change, message = DAMAGE[kind]
    folder = Path(shutil.copytree(small, tmp_path / "run"))
    damaged = change((folder / name).read_bytes())
    (folder / name).unlink()
    if damaged is not None:
        (folder / name).write_bytes(damaged)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with pytest.raises(UserError, match=message) as caught:
        fit_tiny("model=sigmoid", f"resume={folder}", "trainer.max_epochs=2")
    assert str(folder) in str(caught.value)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_two_processes_cannot_train_in_one_folder(small: Path, fit_tiny: Train, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small, tmp_path / "run"))
    with runs.lock(folder), pytest.raises(UserError, match="run: another process trains there; stop it, or wait"):
        fit_tiny(f"resume={folder}", "trainer.max_epochs=2")
    assert (folder / runs.MODEL_FILE).is_file()
    fit_tiny(f"resume={folder}", "trainer.max_epochs=2")


def test_a_checkpoint_outside_of_a_run_is_named(small: Path, fit_tiny: Train, tmp_path: Path) -> None:
    copied = shutil.copy(small / "checkpoints" / "last.ckpt", tmp_path / "copied.ckpt")
    with pytest.raises(UserError, match=r"resume=.*copied\.ckpt: is not in the folder of a run"):
        fit_tiny(f"resume={copied}")


def test_a_run_of_another_version_whose_network_was_another_is_named_and_stays(
    small: Path, fit_tiny: Train, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small, run)
    last = run / "checkpoints" / "last.ckpt"
    parts = torch.load(last, weights_only=True)
    name = next(iter(parts["state_dict"]))
    parts["state_dict"][name] = parts["state_dict"][name][:-1]
    torch.save(parts, last)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"last\.ckpt: has other weights than this network; begin a new run"):
        fit_tiny(f"resume={run}", "trainer.max_epochs=9")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_checkpoint_without_its_parts_is_named(small: Path, tmp_path: Path) -> None:
    parts = torch.load(small / "checkpoints" / "last.ckpt", weights_only=True)
    del parts["optimizer_states"]
    torch.save(parts, tmp_path / "part.ckpt")
    with pytest.raises(UserError, match="it has no optimizer_states"):
        checkpoints.load(tmp_path / "part.ckpt", settings("model=sigmoid").model)


def test_checkpoints_of_others_are_refused(small: Path, tmp_path: Path) -> None:
    checkpoint = small / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match=r"is a checkpoint of .*sigmoid.*, this is .*lenet5"):
        checkpoints.load(checkpoint, ModelConfig("lenet5"))
    for name, content in {"empty": b"", "text": b"no checkpoint", "cut": checkpoint.read_bytes()[:1000]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name}: is damaged, or is not a checkpoint of this project"):
            checkpoints.load(tmp_path / name, ModelConfig("lenet5"))


def test_a_strangers_checkpoint_cannot_fill_the_memory(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = small / "checkpoints" / "last.ckpt"
    model = settings("model=sigmoid").model
    parts = torch.load(whole, weights_only=True)
    bomb = tmp_path / "bomb.ckpt"
    parts["state_dict"]["network.layers.1.weight"] = torch.zeros(1).expand(
        2**40
    )  # one number that stands for terabytes
    torch.save(parts, bomb)
    with pytest.raises(UserError, match="is damaged, or is not a checkpoint of this project"):
        checkpoints.load(bomb, model)

    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(2**22))
    monkeypatch.setattr(checkpoints, "MAX_BYTES", 2**20)
    with pytest.raises(UserError, match="has 4194304 bytes unpacked; at most 1048576 are read"):
        checkpoints.load(bomb, model)

    before = io.BytesIO()  # torch's format of old, whose sizes are not looked at, and an archive behind it
    torch.save({"state_dict": torch.zeros(1)}, before, _use_new_zipfile_serialization=False)
    bomb.write_bytes(before.getvalue() + whole.read_bytes())
    with pytest.raises(UserError, match="is damaged, or is not a checkpoint of this project"):
        checkpoints.load(bomb, model)


def test_a_strangers_run_cannot_have_other_files_removed(small: Path, fit_tiny: Train, tmp_path: Path) -> None:
    """Lightning removes the checkpoint that was the best so far, which the state says the place of."""
    folder = Path(shutil.copytree(small, tmp_path / "run"))
    precious = tmp_path / "precious"
    precious.write_text("mine")
    last = folder / "checkpoints" / "last.ckpt"
    parts = torch.load(last, weights_only=True)
    states = [state for key, state in parts["callbacks"].items() if key.startswith("ModelCheckpoint")]
    assert len(states) == 2
    for state in states:
        place = f"{folder}/checkpoints/../../precious"
        state.update(dirpath=f"{folder}/checkpoints", best_model_path=place, kth_best_model_path=place)
        state.update(last_model_path=place, best_model_score=torch.tensor(-1.0), kth_value=torch.tensor(-1.0))
        if state["best_k_models"]:
            state["best_k_models"] = {place: torch.tensor(-1.0)}  # anything is better
    torch.save(parts, last)
    fit_tiny("model=sigmoid", f"resume={folder}", "trainer.max_epochs=2")
    assert precious.read_text() == "mine"
    assert sorted(one.name for one in folder.parent.iterdir() if one.name != "outputs") == ["precious", "run"]
    assert sorted(one.name for one in last.parent.iterdir()) == ["best.ckpt", "last.ckpt", "previous.ckpt"]


@pytest.mark.parametrize("text", ["a: &a [1,2]\nb: *a\n", "3 #", "a: " + "[" * 200, "a: 1\n" * 5000], ids=str.__len__)
def test_a_strangers_config_cannot_fill_the_memory(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="is not the folder of a run"):
        resume.load_settings(tmp_path)


def test_a_strangers_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"hyper_parameters": Malicious()}, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match="is not a checkpoint of this project"):
        checkpoints.load(tmp_path / "evil.ckpt", ModelConfig("lenet5"))
    assert not (tmp_path / "ran").exists()


def test_a_requeued_run_that_kept_nothing_starts_again_in_its_folder(
    interrupt: Callable[..., Path], fit_tiny: Train
) -> None:
    typed = ("run_name=stopped", "resume=auto")
    stopped = interrupt(0, *typed, times=2)  # before its first checkpoint
    assert not runs.is_resumable(stopped)
    assert "nothing to go on from" in (stopped / "train.log").read_text(encoding="utf-8")
    assert fit_tiny(*typed) == stopped
    assert same(weights(stopped), weights(fit_tiny()))
    assert fit_tiny(*typed, "trainer.max_epochs=2") == stopped  # and goes on with it, as it is not finished
