"""MNIST as chunks of mini-batches that lie in memory, on the device, as the bytes they are."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from digits.config import project_path
from digits.data import drawings, mine, mnist, sources
from digits.data.augmentation import Distortion
from digits.data.config import AugmentConfig, DataConfig, DistortionConfig
from digits.data.formats import ImageSet

EVALUATION_BATCH_SIZE = 500
"""Images a forward pass without gradients: few enough that LeNet-5's maps stay in the processor's cache."""

CHUNK_IMAGES = 2048
"""Images a chunk where its size is not set: what Lightning takes for a step is then little for each."""

TRAINING_DRAWINGS, VALIDATION_DRAWINGS = 1, 2
"""What they are drawn by; not the run's seed, so that every run is validated on the same drawings."""

Batch = tuple[Tensor, Tensor]
"""Images and labels."""

Chunk = list[Batch]
"""Mini-batches; images float32 [batch_size, 1, 28, 28] in [0, 1], labels int64 [batch_size]."""


class ResidentImages(Dataset[Batch]):
    """Images and labels in memory; a whole chunk is taken with one indexing operation.

    Args:
        images: uint8 [N, 28, 28].
        labels: int64 [N].
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images
        self.labels = labels

    def __getitem__(self, indices: Tensor) -> Batch:
        """Give the images, uint8 [n, 28, 28], and labels, int64 [n], of n indices."""
        indices = indices.to(self.images.device)
        return self.images[indices], self.labels[indices]

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)


@dataclass(frozen=True)
class Share:
    """What each mini-batch takes from one part of the images."""

    images: range
    """The part: its indices, in one piece."""
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
        shares: what a mini-batch is made of; the last one of a pass over the first part takes what is left of it.
        batches: mini-batches an epoch.
        chunk_size: mini-batches a chunk; the last chunk has what is left.
        seed: what to shuffle by.
        epoch: gives the epoch to shuffle for; asked with an epoch's first chunk, because a run that goes on makes its
            iterator before it knows where it stands.
    """

    def __init__(self, shares: list[Share], batches: int, chunk_size: int, seed: int, epoch: Callable[[], int]) -> None:
        self.shares = shares
        self.batches = batches
        self.chunk_size = chunk_size
        self.seed = seed
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        """Give index tensors, int64 [images of a chunk]."""
        rng = np.random.default_rng((self.seed, self.epoch()))
        parts: list[list[np.ndarray]] = []
        for share in self.shares:
            one_pass = not parts and self.batches == share.batches
            rounds = 1 if one_pass else -(-self.batches * share.per_batch // len(share.images))
            order = np.tile(np.array(share.images), (rounds, 1))
            for indices in order:
                rng.shuffle(indices)
            parts.append(np.split(order.ravel(), range(share.per_batch, order.size, share.per_batch)))
        for start in range(0, self.batches, self.chunk_size):
            chunk = range(start, min(start + self.chunk_size, self.batches))
            pieces = [part[batch] for batch in chunk for part in parts]
            yield torch.from_numpy(np.concatenate(pieces))

    def __len__(self) -> int:
        """Count the chunks."""
        return -(-self.batches // self.chunk_size)


class MNISTDataModule(L.LightningDataModule):
    """MNIST in its official 60,000/10,000 split, or files like it; some training images are held out to validate.

    Where the settings ask for it, a mini-batch has a share of drawn digits, of pictures of one's own and of things that
    are no digits, in this order behind MNIST's images, and is distorted.

    Args:
        config: the settings of conf/data/.
        augment: the settings of conf/augment/.
        seed: what the order of the training images is drawn by, and how they are distorted.
    """

    def __init__(self, config: DataConfig, augment: AugmentConfig, seed: int) -> None:
        super().__init__()
        self.config = config
        self.augment = augment
        self.seed = seed
        self.folder = project_path(config.dir)
        self.read: tuple[Batch, Batch] | None = None
        """The training and the test images, until they are split."""
        self.drawn: dict[str, ResidentImages] = {}
        """For validation, where training has a share of them: `digits` and `negatives`."""
        self.mine: ResidentImages | None = None
        """Pictures of one's own, where training has a share of them."""
        self.distortion: Distortion | None = None

    def prepare_data(self) -> None:
        """Read the files, and check them; once, though Lightning asks again for each stage.

        Raises:
            UserError: if they cannot be had, are not as they must be, or have fewer images than the settings ask for.
        """
        if self.read is not None or hasattr(self, "train_set"):
            return
        if self.config.path is None:
            mnist.prepare(self.folder)
            self.read = mnist.read(self.folder, train=True), mnist.read(self.folder, train=False)
        else:
            train, test = sources.read(self.config.path, self.config.test_path, self.config.test_size, self.folder)
            self.config.check_fits(len(train.images))
            self.read = _tensors(train), _tensors(test)
        if self.config.mine_per_batch:
            self.mine = ResidentImages(*_tensors(mine.read(Path(self.config.mine or self.folder / "mine"))))

    def setup(self, stage: str) -> None:
        """Split the images, for all stages together; Lightning asks again for each."""
        if hasattr(self, "train_set"):
            return
        self.prepare_data()
        (images, labels), test = cast("tuple[Batch, Batch]", self.read)
        held_out, used = split(labels.numpy(), self.config.val_size, self.config.train_size, self.config.split_seed)
        parts: list[Batch] = [(images[used], labels[used])]
        per_batch = min(self.config.mnist_per_batch or len(used), len(used))
        self.shares = [Share(range(len(used)), per_batch)]
        self.val_set = ResidentImages(images[held_out], labels[held_out])
        if self.config.strokes_per_batch:
            self._add(parts, self._drawn("digits"), self.config.strokes_per_batch)
        if self.mine is not None:
            self._add(parts, (self.mine.images, self.mine.labels), self.config.mine_per_batch)
        if self.config.negatives_per_batch:
            self._add(parts, self._drawn("negatives"), self.config.negatives_per_batch)
        self.train_set = ResidentImages(*(torch.cat(part) for part in zip(*parts, strict=True)))
        self.test_set = ResidentImages(*test)
        self.read = None

    def _drawn(self, kind: str) -> Batch:
        """Give the drawings to train on, and keep a tenth as many others to validate with."""
        count = self.config.drawings
        self.drawn[kind] = ResidentImages(*drawings.prepare(self.folder, kind, -(-count // 10), VALIDATION_DRAWINGS))
        return drawings.prepare(self.folder, kind, count, TRAINING_DRAWINGS)

    def _add(self, parts: list[Batch], part: Batch, per_batch: int) -> None:
        start = self.shares[-1].images.stop
        self.shares.append(Share(range(start, start + len(part[1])), per_batch))
        parts.append(part)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps, which is mini-batches, in an epoch."""
        return self.config.steps_per_epoch or self.shares[0].batches

    @property
    def batch_size(self) -> int:
        """Images in a mini-batch, of all parts."""
        return sum(share.per_batch for share in self.shares)

    @property
    def images_per_epoch(self) -> int:
        """Training images that the network sees in an epoch."""
        first = self.shares[0]
        missing = first.batches * first.per_batch - len(first.images) if self.steps_per_epoch == first.batches else 0
        return self.steps_per_epoch * self.batch_size - missing

    def train_dataloader(self) -> DataLoader[Batch]:
        """Deal out the training images in shuffled chunks."""
        trainer = cast(L.Trainer, self.trainer)
        if isinstance(self.augment, DistortionConfig):
            self.distortion = Distortion(self.augment, self.seed, trainer.strategy.root_device)
        chunk_size = self.config.chunk_size or max(1, CHUNK_IMAGES // self.batch_size)
        sampler = ChunkSampler(self.shares, self.steps_per_epoch, chunk_size, self.seed, lambda: trainer.current_epoch)
        return self._loader(self.train_set, sampler)

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """Deal out the validation images in order: MNIST's, and the drawn digits where there are some."""
        drawn = [self.drawn["digits"]] if "digits" in self.drawn else []
        return [self._loader(one, in_order(one)) for one in (self.val_set, *drawn)]

    def test_dataloader(self) -> DataLoader[Batch]:
        """Deal out the test images in order."""
        return self._loader(self.test_set, in_order(self.test_set))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Chunk:
        """Scale a chunk's images to [0, 1], on the device, cut it into mini-batches, and distort the training ones."""
        images, labels = batch
        trainer = cast(L.Trainer, self.trainer)
        scaled = images.unsqueeze(1).float().mul_(1 / 255)
        size = self.batch_size if trainer.training else EVALUATION_BATCH_SIZE
        batches = scaled.split(size)
        if trainer.training and self.distortion is not None:
            batches = tuple(self.distortion(one, trainer.global_step + k) for k, one in enumerate(batches))
        return list(zip(batches, labels.split(size), strict=True))

    def _loader(self, dataset: ResidentImages, sampler: Iterable[Tensor]) -> DataLoader[Batch]:
        device = cast(L.Trainer, self.trainer).strategy.root_device
        resident = ResidentImages(dataset.images.to(device), dataset.labels.to(device))
        return DataLoader(resident, batch_size=None, sampler=sampler)


def _tensors(images: ImageSet) -> Batch:
    return torch.tensor(images.images), torch.tensor(images.labels)


def in_order(dataset: ResidentImages) -> tuple[Tensor, ...]:
    """Give the indices of all images, in pieces of EVALUATION_BATCH_SIZE."""
    indices: tuple[Tensor, ...] = torch.arange(len(dataset)).split(EVALUATION_BATCH_SIZE)
    return indices


def split(labels: np.ndarray, val_size: int, train_size: int | None, seed: int) -> tuple[Tensor, Tensor]:
    """Split the training images into held-out and used ones, each stratified: in it, digits are as frequent as in all.

    Args:
        labels: int64 [N], 0 to 9.
        val_size: how many to hold out.
        train_size: how many of the others to use; None for all.
        seed: what they are drawn by.

    Returns:
        Two sorted index tensors, int64 [val_size] and [train_size], with no index in common.
    """
    # RandomState, because NumPy promises that its numbers never change (NEP 19): the split must outlive upgrades
    random = np.random.RandomState(seed)
    position = np.empty(len(labels))  # of an image among those of its digit, shuffled, from 0 to 1
    for digit in np.unique(labels):
        members = np.flatnonzero(labels == digit)
        position[random.permutation(members)] = (np.arange(len(members)) + random.uniform()) / len(members)
    order = np.argsort(position, kind="stable")  # any run of it has the digits in proportion
    held_out, rest = order[:val_size], order[val_size:]
    return torch.from_numpy(np.sort(held_out)), torch.from_numpy(np.sort(rest[:train_size]))
