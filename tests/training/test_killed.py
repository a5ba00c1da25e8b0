"""A run that is killed, or can write no more, at any moment goes on as if nothing had been."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
from conftest import Train, fitted
from run_folders import rows, same, steps, weights
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from digits.errors import UserError
from digits.files import shown


class Killed(BaseException):
    """As kill -9: nothing is said or saved after it."""


class Kill(L.Callback):
    """Kill a run where it comes by for the so many-th time.

    Args:
        hook: where.
        times: how often, from 1.
    """

    def __init__(self, hook: str, times: int) -> None:
        self.left = times
        setattr(self, hook, self._count)

    def _count(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


CHUNK, VALIDATED, EPOCH = "on_train_batch_end", "on_validation_end", "on_train_epoch_end"

Killing = Callable[..., Path]


@pytest.fixture(autouse=True)
def checkpoint_after_each_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.training.interrupt.CHECKPOINT_EVERY", 0)


@pytest.fixture
def killed(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killing:
    """Start a run and kill it again and again, where the first argument says; returns its folder when it is through."""
    # event files of one second and one process are read in the order of their names, in which 10 comes before 9
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(100))

    def start(places: list[tuple[str, int]], *overrides: str) -> Path:
        typed = [*tiny, f"outputs_dir={tmp_path / 'killed'}", *overrides]
        for place in places:
            with pytest.raises(Killed):
                fitted(typed, [Kill(*place)])
            typed = [*dict.fromkeys((*typed, "resume=auto"))]
        return fitted(typed)

    return start


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return all curves of a run's TensorBoard but for the clock's."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    tags = set(events.Tags()["scalars"]) - {"train/images_per_second"}
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in tags}


SMALL = (
    "model=sigmoid",
    "trainer.max_epochs=3",
    "data.chunk_size=1",
    "data.train_size=256",
    "data.batch_size=64",
)
"""Four chunks an epoch."""


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.hard_example_fraction=0.7", "optimizer=sgd", "schedule=cosine", "trainer.early_stopping.patience=5"],
        ["model=lenet5", "augment=handwriting", "data.synthetic_fraction=0.2", "data.negative_fraction=0.1"],
        ["optimizer=lbfgs", "data.steps_per_epoch=3"],
    ],
    ids=lambda overrides: " ".join(overrides),
)
def test_a_killed_run_ends_as_an_undisturbed_one(fit_tiny: Train, killed: Killing, overrides: list[str]) -> None:
    disturbed = killed([(CHUNK, 1), (VALIDATED, 1), (EPOCH, 1)], *SMALL, *overrides)
    undisturbed = fit_tiny(*SMALL, *overrides)
    assert same(weights(disturbed), weights(undisturbed))
    assert same(weights(disturbed, "best"), weights(undisturbed, "best"))
    assert rows(disturbed) == rows(undisturbed)
    assert curves(disturbed) == curves(undisturbed)


@pytest.fixture
def stopped(fit_tiny: Train, tmp_path: Path) -> Path:
    """A run that was killed after its third chunk."""
    with pytest.raises(Killed):
        fit_tiny(*SMALL, "run_name=stopped", callbacks=[Kill(CHUNK, 3)])
    return tmp_path / "outputs" / "sigmoid" / "stopped"


def test_a_run_keeps_its_last_two_checkpoints(stopped: Path) -> None:
    assert sorted(one.name for one in (stopped / "checkpoints").iterdir()) == ["last.ckpt", "previous.ckpt"]
    assert (steps(stopped), steps(stopped, "previous")) == (3, 2)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda last: last.write_bytes(last.read_bytes()[:5000]),
    "gone": lambda last: last.unlink(),  # killed between giving the one before its name and the new one its
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_without_the_newest_checkpoint_the_one_before_goes_on(
    stopped: Path, fit_tiny: Train, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    DAMAGE[damage](stopped / "checkpoints" / "last.ckpt")
    assert fit_tiny(*SMALL, "resume=auto") == stopped
    said = [one for one in caplog.messages if "taking the one before, previous.ckpt" in one]
    assert len(said) == (damage == "cut")
    assert same(weights(stopped), weights(fit_tiny(*SMALL)))


def test_in_an_epoch_a_chunk_stays_as_large(stopped: Path, fit_tiny: Train) -> None:
    with pytest.raises(UserError, match=r"data\.chunk_size=2: the run .* was made with data\.chunk_size=1"):
        fit_tiny("model=sigmoid", f"resume={stopped}", "data.chunk_size=2")


def test_a_full_disk_is_one_line_and_harms_nothing(tmp_path: Path, fit_tiny: Train) -> None:
    class Full(L.Callback):
        def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
            if trainer.global_step == 6:
                patch.setattr("os.fsync", self._refuse)

        @staticmethod
        def _refuse(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(UserError, match=r"last\.ckpt: .*No space left on device"),
    ):
        fit_tiny(*SMALL, "run_name=full", callbacks=[Full()])
    folder = tmp_path / "outputs" / "sigmoid" / "full"
    assert sorted(one.name for one in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt", "previous.ckpt"]
    assert steps(folder) == 6
    assert same(weights(fit_tiny(*SMALL, f"resume={folder}")), weights(fit_tiny(*SMALL)))


def test_a_loss_that_is_no_number_stops_the_run_before_it_is_kept(fit_tiny: Train, tmp_path: Path) -> None:
    class Spoil(L.Callback):
        def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
            if trainer.global_step == 6:
                next(pl_module.parameters()).data.fill_(float("nan"))

    with pytest.raises(UserError, match=r"train/loss=nan: is not a number any more, from .* steps 7 and 7 on"):
        fit_tiny(*SMALL, "run_name=nan", callbacks=[Spoil()])
    folder = tmp_path / "outputs" / "sigmoid" / "nan"
    kept = weights(folder)
    assert steps(folder) == 6
    assert all(one.isfinite().all() for one in kept.values())


def test_a_run_stops_when_its_time_is_over(tmp_path: Path, fit_tiny: Train) -> None:
    with pytest.raises(SystemExit) as stop:
        fit_tiny(*SMALL, "run_name=short", "trainer.max_time=00:00")
    assert stop.value.code == 124
    folder = tmp_path / "outputs" / "sigmoid" / "short"
    assert steps(folder) == 1
    assert f"resume={shown(folder)}" in (folder / "train.log").read_text(encoding="utf-8")
    whole = fit_tiny(*SMALL, f"resume={folder}", "trainer.max_time=null")
    assert same(weights(whole), weights(fit_tiny(*SMALL)))


def test_a_run_that_had_stopped_early_has_stopped_when_it_goes_on(fit_tiny: Train) -> None:
    typed = [*SMALL, "trainer.early_stopping.patience=1", "optimizer.learning_rate=1e-9"]
    folder = fit_tiny(*typed)
    before = rows(folder)
    assert len(before) == 2
    fit_tiny(*typed, f"resume={folder}")
    assert rows(folder) == before
