"""Optimizer steps as a CUDA graph: captured once, then replayed without a word from Python."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from digits.data.chunks import Chunk

log = logging.getLogger("digits")

TakeSteps = Callable[[Chunk, Sequence[float | Tensor]], tuple[Tensor, Tensor]]
"""From a chunk and a learning rate for each of its mini-batches to the outputs and the labels."""


@dataclass(frozen=True)
class Graph:
    """A captured chunk: replaying it does again what was done with these tensors, whatever they hold now."""

    graph: torch.cuda.CUDAGraph
    chunk: Chunk
    rates: Tensor
    result: tuple[Tensor, Tensor]

    def replay(self, chunk: Chunk, rates: Tensor) -> tuple[Tensor, Tensor]:
        """Replay the captured steps with another chunk and its rates; what is returned holds until the next replay."""
        for captured, new in zip(self.chunk.tensors, chunk.tensors, strict=True):
            captured.copy_(new)
        self.rates.copy_(rates)
        self.graph.replay()
        return self.result


class CapturedSteps:
    """Performs the steps of chunks on a GPU.

    The first chunk of each size is taken step by step, which makes what is made but once (the optimizer's state, the
    libraries' workspaces); the second is captured while the GPU stands still, and from then on it is replayed.
    (PyTorch, CUDA semantics, whole-network capture.) Where capturing fails, all chunks are taken step by step.

    Args:
        take_steps: takes the steps of a chunk.
        device: the GPU.
    """

    def __init__(self, take_steps: TakeSteps, device: torch.device) -> None:
        self.take_steps = take_steps
        self.device = device
        self.graphs: dict[int, Graph | None] = {}
        """By the images of a chunk; None where one was taken and none captured."""
        self.failed = False
        """Whether a chunk could not be captured."""

    def __call__(self, chunk: Chunk, rates: list[float]) -> tuple[Tensor, Tensor]:
        """Perform one optimizer step for each mini-batch of the chunk, with these learning rates."""
        rates_there = torch.tensor(rates).pin_memory().to(self.device, non_blocking=True)
        size = len(chunk.labels)
        if size in self.graphs and not self.failed:
            self.graphs[size] = graph = self.graphs[size] or self._capture(chunk, rates_there)
            if graph is not None:
                return graph.replay(chunk, rates_there)
        if self.failed:
            return self.take_steps(chunk, rates_there.unbind())
        self.graphs[size] = None
        current, side = torch.cuda.current_stream(self.device), torch.cuda.Stream(self.device)
        side.wait_stream(current)
        with torch.cuda.stream(side):
            result = self.take_steps(chunk, rates_there.unbind())
        current.wait_stream(side)
        return result

    def _capture(self, chunk: Chunk, rates: Tensor) -> Graph | None:
        """Capture a chunk; None where that fails, which leaves all weights and the optimizer as they are.

        What is captured is noted and not computed, so there is nothing to undo.
        """
        stream = torch.cuda.current_stream(self.device)
        chunk, rates = chunk.clone(), rates.clone()
        graph = torch.cuda.CUDAGraph()
        started = time.perf_counter()
        try:
            with torch.cuda.graph(graph):
                result = self.take_steps(chunk, rates.unbind())
        except Exception as error:  # of the driver, a library or the memory; they have no common class
            torch.cuda.set_stream(stream)  # torch 2.7 leaves the one it captures on (pytorch pull request 180395)
            self.failed = True
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            log.warning("steps are taken one by one, because they cannot be captured (%s)", reason)
            return None
        log.info("captured %d steps in %.2f s", len(chunk), time.perf_counter() - started)
        return Graph(graph, chunk, rates, result)
