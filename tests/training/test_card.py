"""On an NVIDIA GPU: the same losses as step by step, the same weights when repeated, and no waiting."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Command, Train
from run_folders import rows, same, weights
from test_resume import Interrupt

from digits.training.classifier import DigitClassifier

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

LONG = ("data.batch_size=7", "trainer.max_epochs=3", "augment=handwriting", "trainer.accelerator=gpu")
"""222 steps, and a smaller mini-batch at the end of each epoch."""


def losses(run: Path) -> list[float]:
    return [float(row["train/loss"]) for row in rows(run)]


@pytest.mark.parametrize("model", ["lenet5", "sigmoid", "convnet"])
@pytest.mark.parametrize("typed", ["optimizer=adamw", "optimizer=sgd", "trainer.precision=bf16-mixed"])
def test_captured_steps_are_those_taken_one_after_the_other(model: str, typed: str, fit_tiny: Train) -> None:
    captured = fit_tiny(*LONG, typed, f"model={model}")
    log = (captured / "train.log").read_text()
    assert "captured 16 steps" in log
    assert "cannot be captured" not in log
    plain = fit_tiny(*LONG, typed, f"model={model}", "trainer.capture=false")
    assert losses(captured) == pytest.approx(losses(plain), rel=1e-4 if model == "sigmoid" else 5e-3)


def test_a_run_is_the_same_when_repeated(fit_tiny: Train) -> None:
    first, second = (fit_tiny(*LONG, f"run_name={name}") for name in ("first", "second"))
    assert same(weights(first), weights(second))
    assert losses(first) == losses(second)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(fit_tiny: Train, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        fit_tiny(*LONG, "data.chunk_size=20", "run_name=stopped", callbacks=[Interrupt(1, signal.SIGTERM, 1)])
    resumed = fit_tiny(*LONG, "data.chunk_size=20", f"resume={tmp_path / 'outputs' / 'lenet5' / 'stopped'}")
    undisturbed = fit_tiny(*LONG, "data.chunk_size=20")
    assert same(weights(resumed), weights(undisturbed))


def test_a_run_goes_on_on_the_cpu(fit_tiny: Train) -> None:
    run = fit_tiny(*LONG)
    resumed = fit_tiny(f"resume={run}", "trainer.max_epochs=4", "trainer.accelerator=cpu")
    assert len(losses(resumed)) == 4
    assert losses(resumed)[-1] < losses(resumed)[0]


def test_an_epoch_does_not_wait_for_the_gpu(fit_tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_start, chunks = DigitClassifier.on_train_batch_start, []

    def forbid_waiting(self: DigitClassifier, batch: Any, batch_idx: int) -> None:
        batch_start(self, batch, batch_idx)
        last = batch_idx == self.trainer.num_training_batches - 1  # after which the figures are read
        torch.cuda.set_sync_debug_mode("default" if last else "error")
        chunks.append(batch_idx)

    monkeypatch.setattr(DigitClassifier, "on_train_batch_start", forbid_waiting)
    try:
        fit_tiny(*LONG, "data.chunk_size=20", "data.hard_example_fraction=0.5")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert max(chunks) == 3


@pytest.mark.parametrize("typed", ["optimizer=lbfgs", "trainer.precision=16-mixed"])
def test_what_cannot_be_captured_runs_plainly(typed: str, fit_tiny: Train) -> None:
    run = fit_tiny(typed, "trainer.max_epochs=2", "trainer.accelerator=gpu")
    assert losses(run)[1] < losses(run)[0]
    assert "captured" not in (run / "train.log").read_text()


def test_full_memory_is_one_line(command: Command, tiny: list[str], tmp_path: Path) -> None:
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**25) / total)
    try:
        typed = ["model=convnet", "data.batch_size=512", f"outputs_dir={tmp_path}", "trainer.accelerator=gpu"]
        outcome = command("train", *tiny, *typed, code=2)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "error: data.batch_size=512: " in outcome.err
    assert "has not enough memory" in outcome.err


def test_the_page_network_trains_there(command: Command, data_dir: Path, tmp_path: Path) -> None:
    few = ["data.pages_per_epoch=16", "data.val_size=8", "trainer.max_epochs=1"]
    where = [f"data.dir={data_dir}", f"outputs_dir={tmp_path}", "trainer.accelerator=gpu", "run_name=pages"]
    command("train", "model=pages", *few, *where)
    assert (tmp_path / "pages" / "pages" / "model.onnx").is_file()
