"""The LightningDataModule: which images there are, split and shared out, and how an epoch is made of them."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from digits.config.data import AugmentConfig, DataConfig, DistortionConfig, MNISTConfig
from digits.data import mnist, sources
from digits.data.augmentation import Distortion
from digits.data.chunks import Batch, Chunk
from digits.data.sampler import ChunkLoader, ChunkSampler, Share
from digits.data.synthetic import cache
from digits.files import project_path
from digits.formats.images import ImageSet
from digits.handwriting import own_digits
from digits.reading.reader import shipped_page_network

EVALUATION_BATCH_SIZE = 500
"""Images a forward pass without gradients: few enough that LeNet-5's maps stay in the processor's cache."""

CHUNK_IMAGES = {"cpu": 4096, "cuda": 16384}
"""Images a chunk where its size is not set: what Lightning takes for it is then little for each image, and a GPU is
busy with it while the next is prepared."""

SPLIT_SEED = 0
"""The seed of the validation split; not the run's seed, so that every run is validated on the same images."""

TRAINING_SEED, VALIDATION_SEED = 1, 2
"""Seeds of the synthetic images; not the run's seed, for the same reason."""


class MNISTDataModule(L.LightningDataModule):
    """MNIST in its official 60,000/10,000 split, or files like it; some training images are held out to validate.

    Where the settings ask for it, a mini-batch has a share of synthetic digits, of the user's own digits and of
    non-digits, in this order behind MNIST's images, and is distorted.

    Args:
        config: the settings of conf/data/mnist.yaml.
        augment: the settings of conf/augment/.
        seed: what the order of the training images is drawn by, and how they are distorted.
        processes: how many share each mini-batch; each has the chunks of the trainer's `global_rank`.
    """

    def __init__(self, config: DataConfig, augment: AugmentConfig, seed: int, processes: int = 1) -> None:
        super().__init__()
        self.config = cast(MNISTConfig, config)
        self.augment = augment
        self.seed = seed
        self.processes = processes
        self.folder = project_path(config.dir)
        self.synthetic: dict[str, Batch] = {}
        """For validation, where training has a share of them: `digits` and `negatives`."""
        self.own: Batch | None = None
        """The user's own digits, where training has a share of them."""
        self.distortion: Distortion | None = None
        self.losses: Tensor
        """Of each MNIST image when the network saw it last, float32 [N], infinite before; kept where
        `hard_example_fraction` is below 1."""
        self.ranked: tuple[int, Tensor] | None = None
        """An epoch, and the losses before it, by which its images were chosen."""

    def setup(self, stage: str) -> None:
        """Read and split the images, for all stages together; Lightning asks again for each.

        Raises:
            UserError: if they cannot be had, are not as they must be, or are fewer than the settings ask for.
        """
        if hasattr(self, "train_set"):
            return
        config = self.config
        train, test = self._read()
        held_out, used = split(train.labels.numpy(), config.val_size, config.train_size)
        parts = [Batch(train.images[used], train.labels[used])]
        first = Share(range(len(used)), config.mnist_per_batch or len(used), self.processes)
        self.shares = [replace(first, per_batch=min(first.per_batch, first.pass_size))]
        if config.own_fraction:  # before all that takes long
            folder = Path(config.own_digits or own_digits.FOLDER)
            self.own = _tensors(own_digits.read(folder, shipped_page_network()))
        if config.synthetic_fraction:
            self._add(parts, self._drawn("digits"), config.synthetic_fraction)
        if self.own is not None:
            self._add(parts, self.own, config.own_fraction)
        if config.negative_fraction:
            self._add(parts, self._drawn("negatives"), config.negative_fraction)
        self.losses = torch.full((len(used),), math.inf)
        self.train_set = Batch(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
        self.val_set, self.test_set = Batch(train.images[held_out], train.labels[held_out]), test

    def _read(self) -> tuple[Batch, Batch]:
        """Return the training and the test images."""
        if self.config.path is None:
            mnist.prepare(self.folder)
            return mnist.read(self.folder, train=True), mnist.read(self.folder, train=False)
        train, test = sources.read(self.config.path, self.config.test_path, self.config.test_size)
        self.config.check_fits(len(train.images))
        return _tensors(train), _tensors(test)

    def _drawn(self, kind: str) -> Batch:
        """Return synthetic images to train on, and keep a tenth as many others to validate with."""
        count = self.config.synthetic_count
        self.synthetic[kind] = Batch(*cache.prepare(self.folder, kind, -(-count // 10), VALIDATION_SEED))
        return Batch(*cache.prepare(self.folder, kind, count, TRAINING_SEED))

    def _add(self, parts: list[Batch], part: Batch, fraction: float) -> None:
        start = sum(len(share.images) for share in self.shares)
        self.shares.append(Share(range(start, start + len(part.labels)), self.config.in_batch(fraction)))
        parts.append(part)

    def steps(self, epochs: int) -> int:
        """Return the number of optimizer steps, which is mini-batches, of so many epochs."""
        return self.steps_in(0) + (epochs - 1) * self.steps_in(1)

    def steps_in(self, epoch: int) -> int:
        """Return the number of optimizer steps of an epoch, from 0."""
        if self.config.steps_per_epoch is not None:
            return self.config.steps_per_epoch
        first = self.shares[0]
        return -(-self.hard_images // first.per_batch) if epoch else first.batches

    @property
    def hard_images(self) -> int:
        """How many images the epochs after the first take from the first part."""
        return math.ceil(self.config.hard_example_fraction * self.shares[0].pass_size)

    def shares_in(self, epoch: int) -> list[Share]:
        """Return what the mini-batches of an epoch, from 0, are made of."""
        if epoch == 0 or self.config.hard_example_fraction == 1:
            return self.shares
        if self.ranked is None or self.ranked[0] != epoch:
            self.ranked = epoch, self.losses.cpu().clone()
        hardest = self.ranked[1].topk(self.hard_images).indices.sort().values
        return [Share(hardest.numpy(), self.shares[0].per_batch)]

    @property
    def batch_size(self) -> int:
        """Images in a mini-batch, of all parts."""
        return sum(share.per_batch for share in self.shares)

    def images_in(self, epoch: int) -> int:
        """Return the number of training images that the network sees in an epoch, from 0."""
        first, *others = self.shares
        steps = self.steps_in(epoch)
        is_pass = self.config.steps_per_epoch in (None, first.batches)
        of_a_pass = self.hard_images if epoch else first.pass_size
        return (of_a_pass if is_pass else steps * first.per_batch) + steps * sum(share.per_batch for share in others)

    def state_dict(self) -> dict[str, Any]:
        """Return what a run that goes on must know of the images: the loss of each."""
        return {} if self.config.hard_example_fraction == 1 else {"losses": self.losses, "ranked": self.ranked}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if "losses" in state_dict:
            self.losses.copy_(state_dict["losses"])
            self.ranked = state_dict["ranked"]

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Return the training images in shuffled chunks."""
        device = self._trainer.strategy.root_device
        self.losses = self.losses.to(device)
        if isinstance(self.augment, DistortionConfig) and self.distortion is None:
            self.distortion = Distortion(self.augment, self.seed, device)
        sampler = ChunkSampler(
            self.shares_in,
            self.steps_in,
            self.config.chunk_size or max(1, CHUNK_IMAGES[device.type] // self.batch_size),
            self.seed,
            lambda: self._trainer.current_epoch,
            device,
        )
        return ChunkLoader(_resident(self.train_set, device), sampler)

    def val_dataloader(self) -> list[DataLoader[tuple[Tensor, ...]]]:
        """Return the validation images in order: MNIST's, and the synthetic digits where there are some."""
        synthetic = [self.synthetic["digits"]] if "digits" in self.synthetic else []
        return [self._in_order(images) for images in (self.val_set, *synthetic)]

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Return the test images in order."""
        return self._in_order(self.test_set)

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor, Tensor], dataloader_idx: int) -> Chunk:
        """Make a chunk of images, labels and indices; training images are distorted."""
        trainer = self._trainer
        if not trainer.training:
            return Chunk(*batch, EVALUATION_BATCH_SIZE)
        params: tuple[tuple[Tensor, ...], ...] = ()
        if self.distortion is not None:
            strength = self.distortion.config.strength(trainer.current_epoch, cast(int, trainer.max_epochs))
            counts = [len(labels) for labels in batch[1].split(self.batch_size)]
            steps = enumerate(counts, trainer.global_step)
            params = tuple(self.distortion.draw(count, step, strength) for step, count in steps)
        chunk = Chunk(*batch, self.batch_size, self.distortion, params)
        return chunk if self.processes == 1 else chunk.slice_of(trainer.global_rank, self.processes)

    @property
    def _trainer(self) -> L.Trainer:
        return cast(L.Trainer, self.trainer)

    def _in_order(self, images: Batch) -> DataLoader[tuple[Tensor, ...]]:
        resident = _resident(images, self._trainer.strategy.root_device)
        return DataLoader(resident, batch_size=None, sampler=resident.tensors[2].split(EVALUATION_BATCH_SIZE))


def _resident(images: Batch, device: torch.device) -> TensorDataset:
    """Return images, labels and indices in a device's memory; a chunk of them is one indexing operation."""
    return TensorDataset(*(tensor.to(device) for tensor in (*images, torch.arange(len(images.labels)))))


def _tensors(images: ImageSet) -> Batch:
    return Batch(torch.tensor(images.images), torch.tensor(images.labels))


def split(labels: np.ndarray, val_size: int, train_size: int | None) -> tuple[Tensor, Tensor]:
    """Split the training images into held-out and used ones, each stratified: in it, digits are as frequent as in all.

    Args:
        labels: int64 [N], 0 to 9.
        val_size: how many to hold out.
        train_size: how many of the others to use; None for all.

    Returns:
        Two sorted index tensors, int64 [val_size] and [train_size], with no index in common.
    """
    # RandomState, because NumPy promises that its numbers never change (NEP 19): the split must outlive upgrades
    random = np.random.RandomState(SPLIT_SEED)
    position = np.empty(len(labels))  # of an image among those of its digit, shuffled, from 0 to 1
    for digit in np.unique(labels):
        members = np.flatnonzero(labels == digit)
        position[random.permutation(members)] = (np.arange(len(members)) + random.uniform()) / len(members)
    order = np.argsort(position, kind="stable")  # any run of it has the digits in proportion
    held_out, rest = order[:val_size], order[val_size:]
    return torch.from_numpy(np.sort(held_out)), torch.from_numpy(np.sort(rest[:train_size]))
