"""The page network's training: what its loss wants, what counts as found, and a run that goes on."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import fitted, settings
from drawn_pages import votes_of
from run_folders import rows, same, weights
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_killed import CHUNK, Kill, Killed

from digits import runs
from digits.data.synthetic import pages
from digits.data.synthetic.writing import IGNORED
from digits.models.pagenet import PageNet
from digits.training.finder import digits_found, page_loss
from digits.training.run import train

FEW = ["model=pages", "data.pages_per_epoch=4", "data.batch_size=2", "data.val_size=2", "trainer.max_epochs=2"]


def test_who_knows_the_page_has_no_loss_and_finds_every_digit() -> None:
    numbers = np.zeros((pages.SIDE, pages.SIDE), dtype=np.int16)
    numbers[100:140, 40:60] = 1
    numbers[100:140, 60:90] = 2  # they touch
    numbers[0:30, 0:10] = IGNORED
    target, votes = torch.from_numpy(pages.targets(numbers)), torch.from_numpy(votes_of(numbers))
    logits = 40 * target[:2].abs() - 20
    assert page_loss(logits[None], votes[None], target[None]) < 1e-3
    assert digits_found(logits[0].sigmoid(), votes, target) == {"found": 2, "there": 2, "both": 2}
    wrong = logits.roll(100, dims=1)
    assert page_loss(wrong[None], votes[None], target[None]) > 1
    assert digits_found(wrong[0].sigmoid(), votes, target)["both"] == 0
    nothing = torch.full_like(logits[0], 0.1)
    assert digits_found(nothing, votes, target) == {"found": 0, "there": 2, "both": 0}


@pytest.mark.slow
def test_a_killed_run_ends_as_an_undisturbed_one_which_leaves_a_network(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digits.training.interrupt.CHECKPOINT_EVERY", 0)
    typed = [*FEW, f"data.dir={data_dir}", f"outputs_dir={tmp_path}", "trainer.accelerator=cpu"]
    with pytest.raises(Killed):
        fitted([*typed, "run_name=killed"], [Kill(CHUNK, 3)])
    killed = fitted([*typed, "run_name=killed", "resume=auto"])
    whole = train(settings(*typed), typed)
    assert all(same(weights(killed, name), weights(whole, name)) for name in ("last", "best"))
    assert rows(killed) == rows(whole)
    session = onnxruntime.InferenceSession(whole / "model.onnx")
    picture = np.random.default_rng(0).random((2, 1, 96, 160), dtype=np.float32)  # of any size
    ink, votes = session.run(["ink", "votes"], {"picture": picture})
    assert (ink.shape, votes.shape) == ((2, 2, 96, 160), (2, 3, 48, 80))
    assert 0 <= ink.min() <= ink.max() <= 1
    network = PageNet().eval()
    network.load_state_dict({key.removeprefix("network."): value for key, value in weights(whole, "best").items()})
    with torch.no_grad():
        logits, of_network = network(torch.from_numpy(picture))
    np.testing.assert_allclose(ink, logits.sigmoid(), atol=1e-5)
    np.testing.assert_allclose(votes, of_network, atol=1e-4)
    assert runs.finished(str(tmp_path)) == []  # it reads no digits
    figures = runs.read_figures(whole)
    assert {"train/loss", "val/loss", "val/precision", "val/recall"} < figures.keys()
    events = EventAccumulator(str(whole)).Reload()
    assert set(events.Tags()["images"]) == {"data/pages", "val/ink"}


@pytest.mark.slow
def test_it_trains_with_mixed_precision(tmp_path: Path, data_dir: Path) -> None:
    where = ["trainer.accelerator=cpu", f"data.dir={data_dir}", f"outputs_dir={tmp_path}"]
    assert len(rows(fitted([*FEW, "trainer.precision=bf16-mixed", *where]))) == 2
