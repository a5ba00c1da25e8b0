"""Optimizer steps as CUDA graphs: captured once, then replayed without a word from Python."""

import logging
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from digits.data.chunks import Chunk

log = logging.getLogger("digits")

STEPS = 16
"""Optimizer steps of the longer graph: few, because capturing takes as long as taking them one by one, and enough for
the GPU to be busy with them until the next replay is asked for."""

TakeSteps = Callable[[Chunk, Sequence[float | Tensor]], tuple[Tensor, Tensor]]
"""From a chunk and a learning rate for each of its mini-batches to the outputs and the labels."""


Replay = Callable[[Chunk, Tensor], tuple[Tensor, Tensor]]
"""Does again what was captured, with another chunk and its rates."""


class CapturedSteps:
    """Performs the steps of chunks on a GPU, as replays of two graphs: of STEPS mini-batches, and of one.

    The first mini-batch is taken plainly, which makes what is made but once (the optimizer's state, the libraries'
    workspaces), and so is each smaller one, at the end of a pass. (PyTorch, CUDA semantics, whole-network capture.)
    Where capturing fails, all are.

    Args:
        take_steps: takes the steps of a chunk.
        device: the GPU.
    """

    def __init__(self, take_steps: TakeSteps, device: torch.device) -> None:
        self.take_steps = take_steps
        self.device = device
        self.replays: dict[int, Replay] = {}
        """By their mini-batches."""
        self.has_stepped = False
        """Whether a mini-batch was taken."""
        self.failed = False
        """Whether a chunk could not be captured."""

    def __call__(self, chunk: Chunk, rates: list[float]) -> tuple[Tensor, Tensor]:
        """Perform one optimizer step for each mini-batch of the chunk, with these learning rates."""
        rates_there = torch.tensor(rates).pin_memory().to(self.device, non_blocking=True)
        results = []
        first = 0
        while first < len(chunk):
            together = STEPS if self.has_stepped and first + STEPS <= chunk.whole_batches else 1
            steps = slice(first, first + together)
            results.append(self._take(chunk.part(steps), rates_there[steps]))
            first += together
        outputs, labels = zip(*results, strict=True)
        return torch.cat(outputs), torch.cat(labels)

    def _take(self, chunk: Chunk, rates: Tensor) -> tuple[Tensor, Tensor]:
        if not self.has_stepped:
            self.has_stepped = True
            current, side = torch.cuda.current_stream(self.device), torch.cuda.Stream(self.device)
            side.wait_stream(current)
            with torch.cuda.stream(side):
                result = self.take_steps(chunk, rates.unbind())
            current.wait_stream(side)
            return result
        if chunk.whole_batches and not self.failed:
            replay = self.replays.get(len(chunk)) or self._capture(chunk, rates)
            if replay is not None:
                self.replays[len(chunk)] = replay
                return replay(chunk, rates)
        return self.take_steps(chunk, rates.unbind())

    def _capture(self, chunk: Chunk, rates: Tensor) -> Replay | None:
        """Capture a chunk; None where that fails, which leaves all weights and the optimizer as they are.

        What is captured is noted and not computed, so there is nothing to undo.
        """
        stream = torch.cuda.current_stream(self.device)
        chunk, rates = chunk.clone(), rates.clone()
        graph = torch.cuda.CUDAGraph()
        started = time.perf_counter()
        try:
            with torch.cuda.graph(graph):
                outputs, labels = self.take_steps(chunk, rates.unbind())
        except Exception as error:  # of the driver, a library or the memory; they have no common class
            torch.cuda.set_stream(stream)  # torch 2.7 leaves the one it captures on (pytorch pull request 180395)
            self.failed = True
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            log.warning("steps are taken one by one, because they cannot be captured (%s)", reason)
            return None
        log.info("captured %d steps in %.2f s", len(chunk), time.perf_counter() - started)

        def replay(new: Chunk, new_rates: Tensor) -> tuple[Tensor, Tensor]:
            for captured, tensor in zip((*chunk.tensors, rates), (*new.tensors, new_rates), strict=True):
                captured.copy_(tensor)
            graph.replay()
            return outputs.clone(), labels.clone()

        return replay
