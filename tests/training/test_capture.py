"""Captured steps: on a card the same as one after the other; the way to there also with a stand-in for the card."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from conftest import Train
from run_folders import rows, same, weights

from digits.training import capture
from digits.training.capture import CapturedSteps
from digits.training.classifier import DigitClassifier


class StandIn:
    """Does again what was done while it was current, as a CUDA graph does; it holds the calls, not the kernels."""

    current: "StandIn | None" = None

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def replay(self) -> None:
        for call in self.calls:
            call()


@contextmanager
def capturing(graph: StandIn) -> Iterator[None]:
    StandIn.current = graph
    yield
    StandIn.current = None


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the CPU pass for a card; returns the size of each chunk that was captured."""
    captured: list[int] = []
    monkeypatch.setattr(capture, "STEPS", 2)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", StandIn)
    monkeypatch.setattr(torch.cuda, "graph", capturing)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: StandInStream())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: StandInStream())
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "set_stream", lambda _: None)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    take = DigitClassifier.take_steps

    def take_or_keep(self: DigitClassifier, chunk: Any, rates: Any) -> Any:
        if StandIn.current is None:
            return take(self, chunk, rates)
        captured.append(len(chunk.labels))
        images = chunk.labels.new_empty((len(chunk.labels), 10), dtype=torch.float32)
        result = images, chunk.labels.clone()

        def again() -> None:
            for captured_tensor, new in zip(result, take(self, chunk, rates), strict=True):
                captured_tensor.copy_(new)

        StandIn.current.calls.append(again)
        return result

    monkeypatch.setattr(DigitClassifier, "take_steps", take_or_keep)
    start = DigitClassifier.on_train_start

    def start_with_capture(self: DigitClassifier) -> None:
        start(self)
        self.captured = CapturedSteps(self.take_steps, self.device)

    monkeypatch.setattr(DigitClassifier, "on_train_start", start_with_capture)
    return captured


class StandInStream:
    def wait_stream(self, other: Any) -> None:
        assert isinstance(other, StandInStream)


TYPED = ("data.batch_size=48", "data.chunk_size=3", "trainer.max_epochs=3", "augment=handwriting", "schedule=onecycle")


@pytest.mark.parametrize("typed", [["optimizer=adamw"], ["optimizer=sgd"]])
def test_replayed_steps_see_each_chunks_images_rates_and_distortion(
    typed: list[str], fit_tiny: Train, card: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    replayed = fit_tiny(*TYPED, *typed)
    # chunks of three mini-batches of 48: of the first chunk the second and third together, of the second the third
    assert card == [96, 48]
    monkeypatch.undo()
    take = DigitClassifier.take_steps

    def with_rates_of_a_card(self: DigitClassifier, chunk: Any, rates: list[float]) -> Any:
        return take(self, chunk, torch.tensor(rates).unbind())

    monkeypatch.setattr(DigitClassifier, "take_steps", with_rates_of_a_card)
    plain = fit_tiny(*TYPED, *typed, "outputs_dir=" + str(replayed.parents[1]))
    assert same(weights(replayed), weights(plain))
    assert [one["step"] for one in rows(replayed)] == [one["step"] for one in rows(plain)]


@contextmanager
def failing(graph: StandIn) -> Iterator[None]:
    with capturing(graph):
        yield
    raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nCompile with TORCH_USE_CUDA_DSA")


def test_where_capturing_fails_each_step_is_taken_once_and_a_line_says_so(
    fit_tiny: Train, card: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "graph", failing)
    run = fit_tiny(*TYPED, "optimizer=adamw")
    assert (run / "train.log").read_text().count("because they cannot be captured (") == 1
    assert len(card) <= 1  # it is tried once
    monkeypatch.undo()
    plain = fit_tiny(*TYPED, "optimizer=adamw", "outputs_dir=" + str(run.parents[1]))
    for one, other in zip(weights(run).values(), weights(plain).values(), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)  # a rate from memory has another rounding
