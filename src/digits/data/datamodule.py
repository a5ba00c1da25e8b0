"""The LightningDataModule: which images there are, split and shared out, and how an epoch is made of them."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from digits.config import project_path
from digits.data import drawings, mine, mnist, sources, teaching, versions
from digits.data.augmentation import Chances, Distortion
from digits.data.chunks import Batch, Chunk, ChunkLoader, ChunkSampler, ResidentImages, Share, Taken
from digits.data.config import AugmentConfig, DataConfig, DistortionConfig
from digits.data.formats import ImageSet

EVALUATION_BATCH_SIZE = 500
"""Images a forward pass without gradients: few enough that LeNet-5's maps stay in the processor's cache."""

CHUNK_IMAGES = (4096, 16384)
"""Images a chunk where its size is not set, on the CPU and on a card: what Lightning takes for it is then little for
each image, and on the card a captured chunk is long enough for the next to be prepared meanwhile."""

MIXUP = 4
"""Tells the random numbers of mixing from those of other things."""

TRAINING_DRAWINGS, VALIDATION_DRAWINGS = 1, 2
"""What they are drawn by; not the run's seed, so that every run is validated on the same drawings."""


class MNISTDataModule(L.LightningDataModule):
    """MNIST in its official 60,000/10,000 split, or files like it; some training images are held out to validate.

    Where the settings ask for it, a mini-batch has a share of drawn digits, of pictures of one's own and of things that
    are no digits, in this order behind MNIST's images, and is distorted.

    Args:
        config: the settings of conf/data/.
        augment: the settings of conf/augment/.
        seeds: what the order of the training images is drawn by, and how they are distorted; several for several
            networks that are trained at once, each of which has mini-batches of its own.
        teacher: the model.onnx that is asked about the training images.
    """

    def __init__(
        self, config: DataConfig, augment: AugmentConfig, seeds: Sequence[int], teacher: Path | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.augment = augment
        self.seeds = seeds
        self.teacher = teacher
        self.folder = project_path(config.dir)
        self.read: tuple[Batch, Batch] | None = None
        """The training and the test images, until they are split."""
        self.drawn: dict[str, ResidentImages] = {}
        """For validation, where training has a share of them: `digits` and `negatives`."""
        self.mine: ResidentImages | None = None
        """Pictures of one's own, where training has a share of them."""
        self.distortions: list[Distortion] = []
        """One for each seed, where images are distorted anew each time."""
        self.answers: Tensor | None = None
        """What the teacher says of the training images, where there is one: float32 [N, 10]."""
        self.prepared = False
        self.losses: Tensor
        """Of each image when a network saw it last, float32 [networks, N], infinite before; kept where `hardest`
        is below 1."""
        self.ranked: tuple[int, Tensor] | None = None
        """An epoch, and the losses before it, by which its images were chosen."""

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
        self.images = len(self.train_set)
        """Training images of all parts, before there are several versions of them."""
        self.losses = torch.full((len(self.seeds), len(used)), math.inf)
        self.test_set = ResidentImages(*test)
        self.read = None

    def _drawn(self, kind: str) -> Batch:
        """Give the drawings to train on, and keep a tenth as many others to validate with."""
        count = self.config.drawings
        self.drawn[kind] = ResidentImages(*drawings.prepare(self.folder, kind, -(-count // 10), VALIDATION_DRAWINGS))
        return drawings.prepare(self.folder, kind, count, TRAINING_DRAWINGS)

    def _add(self, parts: list[Batch], part: Batch, per_batch: int) -> None:
        start = sum(len(share.images) for share in self.shares)
        self.shares.append(Share(range(start, start + len(part[1])), per_batch))
        parts.append(part)

    def steps(self, epochs: int) -> int:
        """Count the optimizer steps, which is mini-batches, of so many epochs."""
        return self.steps_in(0) + (epochs - 1) * self.steps_in(1)

    def steps_in(self, epoch: int) -> int:
        """Count those of an epoch, from 0."""
        if self.config.steps_per_epoch is not None:
            return self.config.steps_per_epoch
        first = self.shares[0]
        return -(-(self.hard_images if epoch else len(first.images)) // first.per_batch)

    @property
    def hard_images(self) -> int:
        """How many images the epochs after the first take from the first part."""
        return math.ceil(self.config.hardest * len(self.shares[0].images))

    def shares_of(self, epoch: int, network: int = 0) -> list[Share]:
        """Give what the mini-batches of an epoch, from 0, are made of for one of the networks."""
        if epoch == 0 or self.config.hardest == 1:
            return self.shares
        if self.ranked is None or self.ranked[0] != epoch:
            self.ranked = epoch, self.losses.cpu().clone()
        first, losses = self.shares[0], self.ranked[1][network]
        worst = losses.topk(self.hard_images).indices.sort().values
        return [Share(worst.numpy(), first.per_batch)]

    @property
    def batch_size(self) -> int:
        """Images in a mini-batch, of all parts."""
        return sum(share.per_batch for share in self.shares)

    def images_in(self, epoch: int) -> int:
        """Count the training images that the network sees, or all networks see, in an epoch, from 0."""
        if self.config.steps_per_epoch is None and len(self.shares) == 1:
            return (self.hard_images if epoch else len(self.shares[0].images)) * len(self.seeds)
        first = self.shares[0]
        missing = first.batches * first.per_batch - len(first.images) if self.steps(1) == first.batches else 0
        return (self.steps(1) * self.batch_size - missing) * len(self.seeds)

    def state_dict(self) -> dict[str, Any]:
        """Give what a run that goes on must know of the images: how well each was read."""
        return {} if self.config.hardest == 1 else {"losses": self.losses, "ranked": self.ranked}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take that."""
        if "losses" in state_dict:
            self.losses.copy_(state_dict["losses"])
            self.ranked = state_dict["ranked"]

    def train_dataloader(self) -> DataLoader[Taken]:
        """Deal out the training images in shuffled chunks."""
        trainer = cast(L.Trainer, self.trainer)
        device = trainer.strategy.root_device
        self._prepare_training(device)
        at_once = CHUNK_IMAGES[device.type == "cuda"]
        sampler = ChunkSampler(
            self.shares_of,
            self.steps_in,
            self.config.chunk_size or max(1, at_once // (self.batch_size * len(self.seeds))),
            self.seeds,
            lambda: trainer.current_epoch,
            device,
            self._first_of,
        )
        return ChunkLoader(self._on(device, self.train_set), sampler)

    def _prepare_training(self, device: torch.device) -> None:
        """Make what training alone needs; once, though Lightning may ask again for each epoch."""
        if self.prepared:
            return
        self.prepared = True
        self.losses = self.losses.to(device)
        if isinstance(self.augment, DistortionConfig):
            if self.augment.versions is None:
                self.distortions = [Distortion(self.augment, seed, device) for seed in self.seeds]
            else:
                made = versions.make(self.train_set.images.to(device), self.augment)
                self.train_set = ResidentImages(made, self.train_set.labels.repeat(len(made) // self.images))
        if self.teacher is not None:
            of_each_version = self.train_set.images.split(self.images)
            self.answers = teaching.answers(self.folder, self.teacher, of_each_version).to(device)

    def _first_of(self, epoch: int) -> int:
        """Give the index that an epoch's images count from, where there are several versions of them."""
        if not isinstance(self.augment, DistortionConfig) or self.augment.versions is None:
            return 0
        epochs = cast(int, cast(L.Trainer, self.trainer).max_epochs)
        return versions.version_of(self.augment, epoch, epochs) * self.images

    def val_dataloader(self) -> list[DataLoader[Taken]]:
        """Deal out the validation images in order: MNIST's, and the drawn digits where there are some."""
        drawn = [self.drawn["digits"]] if "digits" in self.drawn else []
        return [self._in_order(one) for one in (self.val_set, *drawn)]

    def test_dataloader(self) -> DataLoader[Taken]:
        """Deal out the test images in order."""
        return self._in_order(self.test_set)

    def on_after_batch_transfer(self, batch: Taken, dataloader_idx: int) -> Chunk:
        """Make a chunk of what was taken; training images are distorted."""
        trainer = cast(L.Trainer, self.trainer)
        if not trainer.training:
            return Chunk(*batch, EVALUATION_BATCH_SIZE)
        images, labels, indices = batch
        together = self.batch_size * len(self.seeds)
        counts = {step: len(one) for step, one in enumerate(labels.split(together), trainer.global_step)}
        distortion = self.distortions[0] if self.distortions else None
        chances = tuple(self._chances(count, step) for step, count in counts.items()) if distortion else ()
        answers = None if self.answers is None else self.answers[indices]
        mixes = self._mixes(counts).to(labels.device) if self.config.mixup else None
        chunk = Chunk(images, labels, indices, together, distortion, chances, answers, mixes)
        return chunk if trainer.world_size == 1 else chunk.part(trainer.global_rank, trainer.world_size)

    def _chances(self, count: int, step: int) -> Chances:
        """Draw what a mini-batch is distorted by, in which every network has as many images."""
        trainer, each = cast(L.Trainer, self.trainer), count // len(self.seeds)
        strength = self.distortions[0].strength(trainer.current_epoch, cast(int, trainer.max_epochs))
        drawn = [one.draw(each, step, strength) for one in self.distortions]
        return tuple(torch.cat(of_all) for of_all in zip(*drawn, strict=True)) if len(drawn) > 1 else drawn[0]

    def _mixes(self, steps: Iterable[int]) -> Tensor:
        """Draw what share of each image is its own in the mini-batches of these steps, float32."""
        draws = (np.random.default_rng((self.seeds[0], step, MIXUP)) for step in steps)
        return torch.tensor([draw.beta(self.config.mixup, self.config.mixup) for draw in draws], dtype=torch.float32)

    def _in_order(self, dataset: ResidentImages) -> DataLoader[Taken]:
        """Deal out images in order, in pieces of EVALUATION_BATCH_SIZE."""
        device = cast(L.Trainer, self.trainer).strategy.root_device
        return DataLoader(self._on(device, dataset), batch_size=None, sampler=in_order(dataset))

    @staticmethod
    def _on(device: torch.device, dataset: ResidentImages) -> ResidentImages:
        return ResidentImages(dataset.images.to(device), dataset.labels.to(device))


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
