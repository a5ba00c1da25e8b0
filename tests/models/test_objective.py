"""What training minimises beside the labels: label smoothing, mixing and a teacher, against NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from conftest import Train, settings
from numpy.typing import NDArray
from run_folders import rows, same, weights

from digits.data.chunks import Chunk, MiniBatch
from digits.errors import UserError
from digits.models.build import build
from digits.reading.reader import SHIPPED

LABELS = np.array([3, 1, 4, 1, 5, 9])


def network_and_batch(*typed: str, mix: float | None = None, taught: bool = False) -> tuple[Any, MiniBatch]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(len(LABELS), 1, 28, 28, generator=generator)
    answers = (3 * torch.randn(len(LABELS), 10, generator=generator)).log_softmax(dim=1) if taught else None
    share = None if mix is None else torch.tensor(mix)
    return build(settings("model=sigmoid", *typed)), MiniBatch(images, torch.from_numpy(LABELS), answers, share)


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def loss_and_logs(network: Any, batch: MiniBatch) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Give the network's loss, the logarithms of its probabilities, and its logits."""
    outputs = network.outputs(batch.images)
    logits = outputs.detach().double().numpy()
    return network.objective(outputs, batch, len(LABELS)).item(), log_softmax(logits), logits


def test_label_smoothing_spreads_a_share_of_certainty() -> None:
    found, logs, _ = loss_and_logs(*network_and_batch("loss.label_smoothing=0.2"))
    wanted = np.full((len(LABELS), 10), 0.02)
    wanted[np.arange(len(LABELS)), LABELS] += 0.8
    assert found == pytest.approx(-(wanted * logs).sum(axis=1).mean(), rel=1e-5)


def test_a_mixed_image_has_both_labels() -> None:
    found, logs, _ = loss_and_logs(*network_and_batch(mix=0.7))
    wanted = 0.7 * np.eye(10)[LABELS] + 0.3 * np.eye(10)[LABELS[::-1]]
    assert found == pytest.approx(-(wanted * logs).sum(axis=1).mean(), rel=1e-5)


@pytest.mark.parametrize(("temperature", "share"), [(1.0, 1.0), (4.0, 0.9)])
@pytest.mark.parametrize("mix", [None, 0.7])
def test_a_teachers_answers_are_learned_at_a_temperature(temperature: float, share: float, mix: float | None) -> None:
    typed = (f"loss.temperature={temperature}", f"loss.teacher_share={share}")
    network, batch = network_and_batch(*typed, mix=mix, taught=True)
    found, logs, logits = loss_and_logs(network, batch)
    assert batch.answers is not None
    soft = np.exp(log_softmax(batch.answers.double().numpy() / temperature))
    hard = np.eye(10)[LABELS]
    if mix is not None:
        soft, hard = (mix * one + (1 - mix) * one[::-1] for one in (soft, hard))
    taught = -(soft * log_softmax(logits / temperature)).sum(axis=1).mean() * temperature**2
    expected = share * taught - (1 - share) * (hard * logs).sum(axis=1).mean()
    assert found == pytest.approx(expected, rel=1e-5)


def test_what_is_no_digit_has_no_teacher() -> None:
    network, batch = network_and_batch("data.batch_size=6", "data.negatives=0.34", "loss.teacher_share=1", taught=True)
    found, logs, _ = loss_and_logs(network, batch)
    four = batch.split(4)[0]
    taught = network.objective._of_digits(network.outputs(four.images), four).item()
    assert found == pytest.approx((4 * taught - logs[4:].mean(axis=1).sum()) / 6, rel=1e-5)


def test_a_chunk_mixes_each_image_with_its_partner() -> None:
    images = torch.arange(4 * 784, dtype=torch.int64).remainder(256).to(torch.uint8).view(4, 28, 28)
    chunk = Chunk(images, torch.arange(4), torch.arange(4), 2, mixes=torch.tensor([1.0, 0.25]))
    first, second = chunk
    scaled = images[:, None].float() / 255
    torch.testing.assert_close(first.images, scaled[:2])
    torch.testing.assert_close(second.images, 0.25 * scaled[2:] + 0.75 * scaled[2:].flip(0))
    assert second.labels.tolist() == [2, 3]


@pytest.mark.parametrize("typed", [["model=sigmoid", "data.mixup=0.4"], ["model.dropout=0.3"]])
def test_what_is_drawn_depends_on_the_step_alone(typed: list[str], train_tiny: Train) -> None:
    whole = train_tiny(*typed, "schedule=none", "trainer.max_epochs=2", "data.chunk_size=3")
    part = train_tiny(*typed, "schedule=none", "data.chunk_size=1")
    train_tiny(*typed, f"resume={part}", "schedule=none", "trainer.max_epochs=2")
    assert same(weights(whole), weights(part))
    assert rows(whole)[1] == rows(part)[1]


def test_a_run_learns_from_a_teacher(train_tiny: Train) -> None:
    typed = ("model=sigmoid", "trainer.max_epochs=3", "data.strokes=0.2", "data.negatives=0.1", "loss.teacher_share=1")
    alone = train_tiny(*typed)
    taught = train_tiny(*typed, "teacher=shipped")
    assert float(rows(taught)[-1]["val/accuracy"]) > 0.7
    assert not same(weights(alone), weights(taught))
    assert same(weights(taught), weights(train_tiny(*typed, f"teacher={SHIPPED}")))


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["loss.label_smoothing=1"], "loss.label_smoothing=1.0: must be 0 to below 1"),
        (
            ["experiment=online_sgd_01", "loss.label_smoothing=0.1"],
            "loss.label_smoothing=0.1: must be 0 unless model.",
        ),
        (["loss.teacher_share=0"], "loss.teacher_share=0.0: must be above 0, to 1"),
        (["loss.temperature=0"], "loss.temperature=0.0: must be 0.1 to 100"),
        (["loss.temperature=nan"], "loss.temperature=nan: must be 0.1 to 100"),
        (["teacher=''"], "teacher=: must be a run's folder"),
        (["teacher=shipped", "augment=light"], "augment.versions=null: must be a number such as 20 where there is a t"),
        (["model.dropout=1"], "model.dropout=1.0: must be 0 to below 1"),
        (["data.mixup=-1"], "data.mixup=-1.0: must be 0 to 100"),
        (["data.mixup=0.2", "data.negatives=0.1"], "data.mixup=0.2: must be 0 unless all of a mini-batch counts"),
        (
            ["data.mixup=0.2", "data.batch_size=4000"],
            "data.mixup=0.2: must be 0 unless all of a mini-batch counts alike",
        ),
        (["optimizer.ema=1"], "optimizer.ema=1.0: must be above 0 and below 1"),
        (["optimizer.ema=nan"], "optimizer.ema=nan: must be above 0 and below 1"),
    ],
)
def test_wrong_settings_are_one_line(typed: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        settings(*typed)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("teacher", "message"), [("nowhere", "is not there; for a record, make it"), ("text.onnx", "not an ONNX file")]
)
def test_a_wrong_teacher_is_one_line_and_leaves_no_run(
    teacher: str, message: str, train_tiny: Train, tmp_path: Any
) -> None:
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(UserError, match=rf"^teacher=/.*{message}"):
        train_tiny(f"teacher={tmp_path / teacher}")
    assert not (tmp_path / "outputs").exists()
