"""Images as chunks of mini-batches that lie in memory, on the device, as the bytes they are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from digits.data.augmentation import Chances, Distortion

SCALED_TOGETHER = 512
"""Images; as float32 they are 1.6 MB, which a core's cache holds."""

OWN = ("images", "labels", "answers", "mixes")
"""Of a chunk's fields, those that tell it from another one of as many images, but for its chances."""

Batch = tuple[Tensor, Tensor]
"""Images and labels."""

Taken = tuple[Tensor, Tensor, Tensor]
"""Images, labels and indices."""


class MiniBatch(NamedTuple):
    """What one optimizer step sees."""

    images: Tensor
    """float32 [N, 1, 28, 28] in [0, 1]."""
    labels: Tensor
    """int64 [N]."""
    answers: Tensor | None
    """What a teacher says of the images: the logarithms of its probabilities, float32 [N, 10]."""
    mix: Tensor | None
    """The share of each image that is its own, float32; the rest is the one as far from the end of the mini-batch as
    this is from its beginning. None: all."""

    def split(self, size: int) -> list["MiniBatch"]:
        """Cut it into pieces of so many images; not where images are mixed."""
        cut = [one.split(size) for one in (self.images, self.labels)]
        answers = self.answers.split(size) if self.answers is not None else [None] * len(cut[0])
        return [MiniBatch(images, labels, one, None) for images, labels, one in zip(*cut, answers, strict=True)]


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
    answers: Tensor | None = None
    """What a teacher says of the images, float32 [N, 10]; see MiniBatch."""
    mixes: Tensor | None = None
    """How each mini-batch is mixed, float32 [mini-batches]; see MiniBatch."""
    shares: tuple[float, ...] | None = None
    """How much each mini-batch counts, of a process's part; see `part`. None: all alike."""

    def __iter__(self) -> Iterator[MiniBatch]:
        """Give the mini-batches; the last one may have fewer images."""
        together = self.batch_size * max(1, SCALED_TOGETHER // self.batch_size)
        scaled = (some.unsqueeze(1).float().mul_(1 / 255) for some in self.images.split(together))
        batches = (images for some in scaled for images in some.split(self.batch_size))
        answers = None if self.answers is None else self.answers.split(self.batch_size)
        for place, (images, labels) in enumerate(zip(batches, self.labels.split(self.batch_size), strict=True)):
            distorted = self.distortion(images, self.chances[place]) if self.distortion else images
            mix = None if self.mixes is None else self.mixes[place]
            if mix is not None:
                distorted = distorted.flip(0).lerp_(distorted, mix)
            yield MiniBatch(distorted, labels, answers and answers[place], mix)

    def __len__(self) -> int:
        """Count the mini-batches."""
        return -(-len(self.labels) // self.batch_size)

    def clone(self) -> "Chunk":
        """Give one like it in memory of its own."""
        copied = {one: getattr(self, one).clone() for one in OWN if getattr(self, one) is not None}
        return replace(self, **copied, chances=tuple(tuple(map(torch.clone, one)) for one in self.chances))

    def part(self, rank: int, processes: int) -> "Chunk":
        """Give a process's part of each mini-batch: every so manieth image, of its chances and answers.

        Means over the parts, each times its share, have as their mean over the processes that of the whole mini-batch.
        A process that there is no image for has the first one with a share of 0.
        """
        counts = [len(one) for one in self.labels.split(self.batch_size)]
        own = [torch.arange(count)[rank::processes] for count in counts]
        shares = tuple(len(one) * processes / count for one, count in zip(own, counts, strict=True))
        own = [one if len(one) else torch.zeros(1, dtype=torch.int64) for one in own]
        own = [one.to(self.labels.device) for one in own]
        rows = torch.cat([one + step * self.batch_size for step, one in enumerate(own)])
        chances = tuple(
            tuple(drawn[places] for drawn in chance) for chance, places in zip(self.chances, own, strict=False)
        )
        taken = {one: getattr(self, one)[rows] for one in ("images", "labels", "indices")}
        answers = None if self.answers is None else self.answers[rows]
        return replace(self, **taken, batch_size=len(own[0]), chances=chances, answers=answers, shares=shares)

    def networks(self, count: int) -> Tensor:
        """Give for which of so many networks each image is, int64 [N]: a mini-batch has those of each in turn."""
        each = [torch.arange(count).repeat_interleave(len(one) // count) for one in self.labels.split(self.batch_size)]
        return torch.cat(each).to(self.labels.device)

    @property
    def tensors(self) -> list[Tensor]:
        """All that tells it from another chunk of as many images."""
        own = [getattr(self, one) for one in OWN if getattr(self, one) is not None]
        return own + [one for chances in self.chances for one in chances]


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
        shares: gives what the mini-batches of an epoch are made of, for the network of a place in `seeds`; the last one
            of a pass over the first part takes what is left of it.
        batches: gives the mini-batches of an epoch.
        chunk_size: mini-batches a chunk; the last chunk has what is left.
        seeds: what to shuffle by; several for several networks, whose mini-batches are then behind each other.
        epoch: gives the epoch to shuffle for; asked with an epoch's first chunk, because a run that goes on makes its
            iterator before it knows where it stands.
        device: where the indices are wanted; an epoch's go there together.
        first: gives the index that an epoch counts from, where the images are there in several versions.
    """

    def __init__(
        self,
        shares: Callable[[int, int], list[Share]],
        batches: Callable[[int], int],
        chunk_size: int,
        seeds: Sequence[int],
        epoch: Callable[[], int],
        device: torch.device,
        first: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self.shares = shares
        self.batches = batches
        self.chunk_size = chunk_size
        self.seeds = seeds
        self.epoch = epoch
        self.device = device
        self.first = first
        self.dealt = 0
        """Chunks of the epoch that were given."""
        self.skipped = 0
        """Chunks that the next epoch has behind it."""

    def __iter__(self) -> Iterator[Tensor]:
        """Give index tensors, int64 [images of a chunk], on the device."""
        epoch = self.epoch()
        of_all = [self._batches(epoch, place) for place in range(len(self.seeds))]
        batches = [np.concatenate(of_step) for of_step in zip(*of_all, strict=True)] if len(of_all) > 1 else of_all[0]
        whole = torch.from_numpy(np.concatenate(batches) + self.first(epoch)).to(self.device)
        self.dealt, self.skipped = self.skipped, 0
        for chunk in whole.split(len(batches[0]) * self.chunk_size)[self.dealt :]:
            self.dealt += 1
            yield chunk

    def _batches(self, epoch: int, place: int) -> list[NDArray[np.int64]]:
        rng = np.random.default_rng((self.seeds[place], epoch))
        shares, wanted = self.shares(epoch, place), self.batches(epoch)
        parts: list[list[np.ndarray]] = []
        for share in shares:
            one_pass = not parts and wanted == share.batches
            rounds = 1 if one_pass else -(-wanted * share.per_batch // len(share.images))
            order = np.tile(np.array(share.images), (rounds, 1))
            for indices in order:
                rng.shuffle(indices)
            parts.append(np.split(order.ravel(), range(share.per_batch, order.size, share.per_batch))[:wanted])
        return parts[0] if len(parts) == 1 else [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]

    def __len__(self) -> int:
        """Count the chunks of the epoch."""
        return -(-self.batches(self.epoch()) // self.chunk_size)


class ChunkLoader(DataLoader[Taken]):
    """Gives the chunks that a sampler deals out; a checkpoint holds where in the epoch that is.

    Args:
        images: all of them.
        sampler: deals them out.
    """

    def __init__(self, images: ResidentImages, sampler: ChunkSampler) -> None:
        super().__init__(images, batch_size=None, sampler=sampler)
        self.chunks = sampler

    def state_dict(self) -> dict[str, int]:
        """Give how many chunks of how many mini-batches were given."""
        return {"dealt": self.chunks.dealt, "chunk_size": self.chunks.chunk_size}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on behind them, and with as large ones."""
        self.chunks.skipped, self.chunks.chunk_size = state["dealt"], state["chunk_size"]
