"""Which images each mini-batch of an epoch takes, by the chunk."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler


@dataclass(frozen=True)
class Share:
    """What each mini-batch takes from one part of the images."""

    images: Sequence[int] | NDArray[np.int64]
    """The part: its indices."""
    per_batch: int
    divisor: int = 1
    """What the images of a pass are cut to a multiple of, which as many processes share out."""

    @property
    def pass_size(self) -> int:
        """Images of a pass over the part."""
        return len(self.images) - len(self.images) % self.divisor

    @property
    def batches(self) -> int:
        """Mini-batches of a pass over the part."""
        return -(-self.pass_size // self.per_batch)


class ChunkSampler(Sampler[Tensor]):
    """Indices of the training images by the chunk, shuffled anew each epoch.

    Each mini-batch takes its share of each part, and a part begins again when it is used up. A mini-batch has its parts
    in their order. All depends on seed and epoch alone, not on the size of a chunk or on how the run came to this
    epoch.

    Args:
        shares: returns what the mini-batches of an epoch are made of; the last one of a pass over the first part takes
            what is left of it.
        steps: returns the number of mini-batches of an epoch.
        chunk_size: mini-batches a chunk; the last chunk has what is left.
        seed: what to shuffle by.
        epoch: returns the epoch to shuffle for; asked with an epoch's first chunk, because a run that goes on makes its
            iterator before it knows where it stands.
        device: where the indices are wanted; an epoch's go there together.
    """

    def __init__(
        self,
        shares: Callable[[int], list[Share]],
        steps: Callable[[int], int],
        chunk_size: int,
        seed: int,
        epoch: Callable[[], int],
        device: torch.device,
    ) -> None:
        self.shares = shares
        self.steps = steps
        self.chunk_size = chunk_size
        self.seed = seed
        self.epoch = epoch
        self.device = device
        self.dealt = 0
        """Chunks of the epoch that were yielded."""
        self.skipped = 0
        """Chunks that the next epoch has behind it."""

    def __iter__(self) -> Iterator[Tensor]:
        """Yield index tensors, int64 [images of a chunk], on the device."""
        batches = self._batches(self.epoch())
        indices = torch.from_numpy(np.concatenate(batches)).to(self.device)
        self.dealt, self.skipped = self.skipped, 0
        for chunk in indices.split(len(batches[0]) * self.chunk_size)[self.dealt :]:
            self.dealt += 1
            yield chunk

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the indices of each mini-batch of an epoch."""
        rng = np.random.default_rng((self.seed, epoch))
        steps = self.steps(epoch)
        parts: list[list[NDArray[np.int64]]] = []
        for share in self.shares(epoch):
            one_pass = not parts and steps == share.batches
            passes = 1 if one_pass else -(-steps * share.per_batch // len(share.images))
            order = np.tile(np.array(share.images), (passes, 1))
            for indices in order:
                rng.shuffle(indices)
            flat = order.ravel()[: share.pass_size] if one_pass else order.ravel()
            parts.append(np.split(flat, range(share.per_batch, flat.size, share.per_batch))[:steps])
        return parts[0] if len(parts) == 1 else [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]

    def __len__(self) -> int:
        """Return the number of chunks of the epoch."""
        return -(-self.steps(self.epoch()) // self.chunk_size)


class ChunkLoader(DataLoader[Any]):
    """Loads the chunks that a sampler deals out; a checkpoint holds where in the epoch that is.

    Args:
        images: gives those of an index tensor.
        sampler: deals them out.
    """

    def __init__(self, images: Dataset[Any], sampler: ChunkSampler) -> None:
        super().__init__(images, batch_size=None, sampler=sampler)
        self.chunks = sampler

    def state_dict(self) -> dict[str, int]:
        """Return how many chunks of how many mini-batches were loaded."""
        return {"dealt": self.chunks.dealt, "chunk_size": self.chunks.chunk_size}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on behind them, with chunks of the same size."""
        self.chunks.skipped, self.chunks.chunk_size = state_dict["dealt"], state_dict["chunk_size"]
