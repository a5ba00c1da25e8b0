"""MNIST as chunks of mini-batches that lie in memory, on the device, as the bytes they are."""

from collections.abc import Callable, Iterator, Sized
from typing import cast

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from digits.config import DataConfig, project_path
from digits.data import mnist

EVALUATION_BATCH_SIZE = 500
"""Images a forward pass without gradients: few enough that LeNet-5's maps stay in the processor's cache."""

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


class ChunkSampler(Sampler[Tensor]):
    """Indices by the chunk: in order, or shuffled anew each epoch.

    The order depends on seed and epoch alone, not on the size of a chunk or on how the run came to this epoch.

    Args:
        dataset: what to index.
        size: images a chunk; the last chunk has what is left.
        seed: what to shuffle by; None leaves the order as it is.
        epoch: gives the epoch to shuffle for; asked with an epoch's first chunk, because a run that goes on makes its
            iterator before it knows where it stands.
    """

    def __init__(
        self, dataset: Sized, size: int, seed: int | None = None, epoch: Callable[[], int] = lambda: 0
    ) -> None:
        self.count = len(dataset)
        self.size = size
        self.seed = seed
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        """Give index tensors, int64 [size]."""
        order = np.arange(self.count)
        if self.seed is not None:
            np.random.default_rng((self.seed, self.epoch())).shuffle(order)
        yield from torch.from_numpy(order).split(self.size)

    def __len__(self) -> int:
        """Count the chunks."""
        return -(-self.count // self.size)


class MNISTDataModule(L.LightningDataModule):
    """The official 60,000/10,000 split, some of the 60,000 held out for validation.

    Args:
        config: the settings of conf/data/.
        seed: what the order of the training images is drawn by.
    """

    def __init__(self, config: DataConfig, seed: int) -> None:
        super().__init__()
        self.config = config
        self.seed = seed
        self.folder = project_path(config.dir)
        self.prepared = False

    def prepare_data(self) -> None:
        """Unpack the files, and check them once; Lightning asks again for each stage.

        Raises:
            UserError: if they can be neither unpacked nor downloaded.
        """
        if not self.prepared:
            mnist.prepare(self.folder)
            self.prepared = True

    def setup(self, stage: str) -> None:
        """Read the images and split them, for all stages together; Lightning asks again for each."""
        if hasattr(self, "train_set"):
            return
        images, labels = mnist.read(self.folder, train=True)
        held_out, used = split(labels.numpy(), self.config.val_size, self.config.train_size, self.config.split_seed)
        self.train_set = ResidentImages(images[used], labels[used])
        self.val_set = ResidentImages(images[held_out], labels[held_out])
        self.test_set = ResidentImages(*mnist.read(self.folder, train=False))

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps, which is mini-batches, in one pass over the training images."""
        return -(-len(self.train_set) // self.config.batch_size)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Deal out the training images in shuffled chunks."""
        return self._loader(self.train_set, self.config.batch_size * self.config.chunk_size, self.seed)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Deal out the validation images in order."""
        return self._loader(self.val_set, EVALUATION_BATCH_SIZE)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Deal out the test images in order."""
        return self._loader(self.test_set, EVALUATION_BATCH_SIZE)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Chunk:
        """Scale a chunk's images to [0, 1], on the device, and cut it into mini-batches."""
        images, labels = batch
        scaled = images.unsqueeze(1).float().mul_(1 / 255)
        size = self.config.batch_size if cast(L.Trainer, self.trainer).training else EVALUATION_BATCH_SIZE
        return list(zip(scaled.split(size), labels.split(size), strict=True))

    def _loader(self, dataset: ResidentImages, size: int, seed: int | None = None) -> DataLoader[Batch]:
        trainer = cast(L.Trainer, self.trainer)
        device = trainer.strategy.root_device
        resident = ResidentImages(dataset.images.to(device), dataset.labels.to(device))
        sampler = ChunkSampler(resident, size, seed, epoch=lambda: trainer.current_epoch)
        return DataLoader(resident, batch_size=None, sampler=sampler)


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
