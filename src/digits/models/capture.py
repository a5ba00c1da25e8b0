"""Optimizer steps as a CUDA graph: captured once, then replayed without a word from Python."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from digits.data.chunks import Batch, Chunk

TakeSteps = Callable[[Chunk, Iterable[float | Tensor]], Batch]
"""From a chunk and a learning rate for each of its mini-batches to what the last layer gave, and the labels."""


@dataclass(frozen=True)
class Graph:
    """A captured chunk: replaying it does again what was done with these tensors, wherever they now hold."""

    graph: torch.cuda.CUDAGraph
    chunk: Chunk
    rates: Tensor
    result: Batch

    def replay(self, chunk: Chunk, rates: Tensor) -> Batch:
        """Take the steps with another chunk and its rates; what comes back holds until the next replay."""
        for mine, others in zip(self.chunk.tensors, chunk.tensors, strict=True):
            mine.copy_(others)
        self.rates.copy_(rates)
        self.graph.replay()
        return self.result


class CapturedSteps:
    """Takes the steps of chunks on a card.

    The first chunk of each size is taken step by step, which makes what is made but once (the optimizer's state, the
    libraries' workspaces); the second is captured while the card stands still, and from then on it is replayed.
    (PyTorch, CUDA semantics, whole-network capture.)

    Args:
        take_steps: takes the steps of a chunk.
        device: the card.
    """

    def __init__(self, take_steps: TakeSteps, device: torch.device) -> None:
        self.take_steps = take_steps
        self.device = device
        self.graphs: dict[int, Graph | None] = {}
        """By the images of a chunk; None where one was taken and none captured."""

    def __call__(self, chunk: Chunk, rates: list[float]) -> Batch:
        """Take one optimizer step for each mini-batch of the chunk, with these learning rates."""
        on_card = torch.tensor(rates).pin_memory().to(self.device, non_blocking=True)
        size = len(chunk.labels)
        if size not in self.graphs:
            self.graphs[size] = None
            side = torch.cuda.Stream(self.device)
            side.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(side):
                result = self.take_steps(chunk, on_card.unbind())
            torch.cuda.current_stream(self.device).wait_stream(side)
            return result
        graph = self.graphs[size] or self._capture(chunk, on_card)
        self.graphs[size] = graph
        return graph.replay(chunk, on_card)

    def _capture(self, chunk: Chunk, rates: Tensor) -> Graph:
        mine = chunk.clone()
        mine_rates = rates.clone()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = self.take_steps(mine, mine_rates.unbind())
        return Graph(graph, mine, mine_rates, result)
