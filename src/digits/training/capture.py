"""Optimizer steps as a CUDA graph: captured once, then replayed without a word from Python."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from digits.data.chunks import Chunk

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
        """Take the steps with another chunk and its rates; what is returned holds until the next replay."""
        for captured, new in zip(self.chunk.tensors, chunk.tensors, strict=True):
            captured.copy_(new)
        self.rates.copy_(rates)
        self.graph.replay()
        return self.result


class CapturedSteps:
    """Takes the steps of chunks on a GPU.

    The first chunk of each size is taken step by step, which makes what is made but once (the optimizer's state, the
    libraries' workspaces); the second is captured while the GPU stands still, and from then on it is replayed.
    (PyTorch, CUDA semantics, whole-network capture.)

    Args:
        take_steps: takes the steps of a chunk.
        device: the GPU.
    """

    def __init__(self, take_steps: TakeSteps, device: torch.device) -> None:
        self.take_steps = take_steps
        self.device = device
        self.graphs: dict[int, Graph | None] = {}
        """By the images of a chunk; None where one was taken and none captured."""

    def __call__(self, chunk: Chunk, rates: list[float]) -> tuple[Tensor, Tensor]:
        """Take one optimizer step for each mini-batch of the chunk, with these learning rates."""
        rates_there = torch.tensor(rates).pin_memory().to(self.device, non_blocking=True)
        size = len(chunk.labels)
        if size not in self.graphs:
            self.graphs[size] = None
            side = torch.cuda.Stream(self.device)
            side.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(side):
                result = self.take_steps(chunk, rates_there.unbind())
            torch.cuda.current_stream(self.device).wait_stream(side)
            return result
        graph = self.graphs[size] or self._capture(chunk, rates_there)
        self.graphs[size] = graph
        return graph.replay(chunk, rates_there)

    def _capture(self, chunk: Chunk, rates: Tensor) -> Graph:
        chunk, rates = chunk.clone(), rates.clone()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = self.take_steps(chunk, rates.unbind())
        return Graph(graph, chunk, rates, result)
