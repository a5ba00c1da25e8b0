"""The least that a training step can take: its arithmetic and its bytes, at the rates that this machine has."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from digits.models.config import CLASSES

SIDE = 1024
"""Of the square matrices whose product is timed: large enough for all units, and in the caches."""

COPIED = 256 * 2**20
"""Bytes; more than any cache holds."""

TIMES = 12
"""The fastest of so many counts, since the machine may be busy with something else."""


@dataclass(frozen=True)
class Floor:
    """What bounds the training of a network from below (the roofline of Williams, Waterman, Patterson 2009)."""

    operations: float
    """Floating-point ones an image, forwards and backwards."""
    bytes: float
    """Moved an image: each map and its gradient is written and read once, and each weight, its gradient and the two
    moments of Adam once a step."""
    operations_per_second: float
    """Of a product of matrices in the precision of the training."""
    bytes_per_second: float
    """Of a copy, reading and writing."""

    @property
    def images_per_second(self) -> float:
        """How many images a second could be trained on if nothing else took time."""
        return 1 / max(self.operations / self.operations_per_second, self.bytes / self.bytes_per_second)


def floor(network: nn.Module, batch_size: int, device: str, precision: torch.dtype) -> Floor:
    """Count what a step does, and measure how fast the device does such things."""
    network = network.to(device)
    images = torch.zeros(batch_size, 1, 28, 28, device=device)
    labels = torch.zeros(batch_size, dtype=torch.int64, device=device)
    numbers = 0

    def count(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal numbers
        numbers += output.numel()

    leaves = [one for one in network.modules() if not list(one.children())]
    hooks = [one.register_forward_hook(count) for one in leaves]
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(network(images), labels % CLASSES).backward()
    for hook in hooks:
        hook.remove()
    weights = sum(one.numel() for one in network.parameters())
    moved = images.numel() + 4 * (4 * numbers + 8 * weights)  # the images are bytes, all else float32
    return Floor(
        counter.get_total_flops() / batch_size,
        moved / batch_size,
        matrix_rate(precision, device),
        copy_rate(device),
    )


def matrix_rate(precision: torch.dtype, device: str) -> float:
    """Measure operations/s of a product of two square matrices."""
    first, second = (torch.rand(SIDE, SIDE, device=device).to(precision) for _ in range(2))
    return 2 * SIDE**3 / _fastest(lambda: first @ second, device)


def copy_rate(device: str) -> float:
    """Measure bytes/s of a copy, read and written."""
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED / _fastest(lambda: target.copy_(source), device)


def _fastest(work: Callable[[], Tensor], device: str) -> float:
    fastest = float("inf")
    for _ in range(TIMES):
        started = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        fastest = min(fastest, time.perf_counter() - started)
    return fastest
