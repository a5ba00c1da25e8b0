"""Images as chunks of mini-batches that lie in memory, on the device, as the bytes they are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from digits.data.augmentation import Chances, Distortion

SCALED_TOGETHER = 512
"""Images; as float32 they are 1.6 MB, which a core's cache holds."""

Batch = tuple[Tensor, Tensor]
"""Images and labels."""

Taken = tuple[Tensor, Tensor, Tensor]
"""Images, labels and indices."""


@dataclass(frozen=True)
class Chunk:
    """Mini-batches, as the bytes that they are made of.

    They are scaled and distorted when their turn comes, so that a processor has them in its cache, and a card can do
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
    chances: tuple[Chances, ...] = ()
    """What each mini-batch is distorted by, where there is a distortion."""

    def __iter__(self) -> Iterator[Batch]:
        """Give images, float32 [batch_size, 1, 28, 28] in [0, 1], and labels; the last ones may be fewer."""
        together = self.batch_size * max(1, SCALED_TOGETHER // self.batch_size)
        scaled = (some.unsqueeze(1).float().mul_(1 / 255) for some in self.images.split(together))
        batches = (images for some in scaled for images in some.split(self.batch_size))
        for place, (images, labels) in enumerate(zip(batches, self.labels.split(self.batch_size), strict=True)):
            yield (self.distortion(images, self.chances[place]) if self.distortion else images), labels

    def __len__(self) -> int:
        """Count the mini-batches."""
        return -(-len(self.labels) // self.batch_size)

    @property
    def tensors(self) -> list[Tensor]:
        """All that tells it from another chunk of as many images."""
        return [self.images, self.labels, *(one for chances in self.chances for one in chances)]


class ResidentImages(Dataset[Taken]):
    """Images and labels in memory; a whole chunk is taken with one indexing operation.

    Args:
        images: uint8 [N, 28, 28].
        labels: int64 [N].
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images
        self.labels = labels

    def __getitem__(self, indices: Tensor) -> Taken:
        """Give the images, uint8 [n, 28, 28], and labels, int64 [n], of n indices, and these."""
        indices = indices.to(self.images.device)
        return self.images[indices], self.labels[indices], indices

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)


@dataclass(frozen=True)
class Share:
    """What each mini-batch takes from one part of the images."""

    images: Sequence[int] | NDArray[np.int64]
    """The part: its indices."""
    per_batch: int

    @property
    def batches(self) -> int:
        """Mini-batches of a pass over the part."""
        return -(-len(self.images) // self.per_batch)


class ChunkSampler(Sampler[Tensor]):
    """Indices of the training images by the chunk, shuffled anew each epoch.

    Each mini-batch takes its share of each part, and a part begins again when it is used up. A mini-batch has its parts
    in their order. All depends on seed and epoch alone, not on the size of a chunk or on how the run came to this
    epoch.

    Args:
        shares: gives what the mini-batches of an epoch are made of; the last one of a pass over the first part takes
            what is left of it.
        batches: gives the mini-batches of an epoch.
        chunk_size: mini-batches a chunk; the last chunk has what is left.
        seed: what to shuffle by.
        epoch: gives the epoch to shuffle for; asked with an epoch's first chunk, because a run that goes on makes its
            iterator before it knows where it stands.
        device: where the indices are wanted; an epoch's go there together.
    """

    def __init__(
        self,
        shares: Callable[[int], list[Share]],
        batches: Callable[[int], int],
        chunk_size: int,
        seed: int,
        epoch: Callable[[], int],
        device: torch.device,
    ) -> None:
        self.shares = shares
        self.batches = batches
        self.chunk_size = chunk_size
        self.seed = seed
        self.epoch = epoch
        self.device = device

    def __iter__(self) -> Iterator[Tensor]:
        """Give index tensors, int64 [images of a chunk], on the device."""
        epoch = self.epoch()
        rng = np.random.default_rng((self.seed, epoch))
        shares, wanted = self.shares(epoch), self.batches(epoch)
        parts: list[list[np.ndarray]] = []
        for share in shares:
            one_pass = not parts and wanted == share.batches
            rounds = 1 if one_pass else -(-wanted * share.per_batch // len(share.images))
            order = np.tile(np.array(share.images), (rounds, 1))
            for indices in order:
                rng.shuffle(indices)
            parts.append(np.split(order.ravel(), range(share.per_batch, order.size, share.per_batch))[:wanted])
        batches = parts[0] if len(parts) == 1 else [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        whole = torch.from_numpy(np.concatenate(batches)).to(self.device)
        yield from whole.split(len(batches[0]) * self.chunk_size)

    def __len__(self) -> int:
        """Count the chunks of the epoch."""
        return -(-self.batches(self.epoch()) // self.chunk_size)
