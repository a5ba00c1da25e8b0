"""Images as chunks of mini-batches that lie in memory, on the device, as the bytes they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from digits.data.augmentation import Distortion, DistortionParams

SCALED_TOGETHER = 512
"""Images; as float32 they are 1.6 MB, which a core's cache holds."""


class Batch(NamedTuple):
    """Images and their labels."""

    images: Tensor
    """uint8 [N, 28, 28] in memory, float32 [N, 1, 28, 28] in [0, 1] for a network; bright ink on black."""
    labels: Tensor
    """int64 [N], 0 to 9, or 10 for non-digits."""


@dataclass(frozen=True)
class Chunk:
    """Mini-batches, as the bytes that they are made of.

    They are scaled and distorted when their turn comes, so that a processor has them in its cache, and a GPU can do
    that as part of a captured chunk.
    """

    images: Tensor
    """uint8 [N, 28, 28]."""
    labels: Tensor
    """int64 [N]."""
    indices: Tensor
    """int64 [N], of the images among all that there are."""
    batch_size: int
    distortion: Distortion | None = None
    params: tuple[DistortionParams, ...] = ()
    """What each mini-batch is distorted by, where there is a distortion."""

    def __iter__(self) -> Iterator[Batch]:
        """Yield the mini-batches; the last one may have fewer images."""
        together = self.batch_size * max(1, SCALED_TOGETHER // self.batch_size)
        scaled = (part.unsqueeze(1).float().mul_(1 / 255) for part in self.images.split(together))
        batches = (images for part in scaled for images in part.split(self.batch_size))
        for step, (images, labels) in enumerate(zip(batches, self.labels.split(self.batch_size), strict=True)):
            yield Batch(self.distortion(images, self.params[step]) if self.distortion else images, labels)

    def __len__(self) -> int:
        """Return the number of mini-batches."""
        return -(-len(self.labels) // self.batch_size)

    @property
    def whole_batches(self) -> int:
        """The number of mini-batches without a smaller one at the end."""
        return len(self.labels) // self.batch_size

    @property
    def tensors(self) -> list[Tensor]:
        """All that an optimizer step sees of it."""
        return [self.images, self.labels, *(tensor for params in self.params for tensor in params)]

    def clone(self) -> "Chunk":
        """Return a copy in memory of its own."""
        params = tuple(tuple(tensor.clone() for tensor in params) for params in self.params)
        return self._each(Tensor.clone, params=params)

    def part(self, steps: slice) -> "Chunk":
        """Return some of its mini-batches, from `steps.start` to before `steps.stop`."""
        own = slice(steps.start * self.batch_size, steps.stop * self.batch_size)
        return self._each(lambda tensor: tensor[own], params=self.params[steps])

    def slice_of(self, rank: int, processes: int) -> "Chunk":
        """Return a process's slice of each mini-batch: every `processes`-th image, from `rank` on."""
        starts = range(0, len(self.labels), self.batch_size)
        places = torch.arange(len(self.labels), device=self.labels.device)
        own = torch.cat([places[start : start + self.batch_size][rank::processes] for start in starts])
        params = tuple(tuple(tensor[rank::processes] for tensor in params) for params in self.params)
        return self._each(lambda tensor: tensor[own], batch_size=self.batch_size // processes, params=params)

    def _each(self, change: Callable[[Tensor], Tensor], **others: Any) -> "Chunk":
        """Return it with its images, labels and indices changed, and others of its parts."""
        images, labels, indices = map(change, (self.images, self.labels, self.indices))
        return replace(self, images=images, labels=labels, indices=indices, **others)
