"""The LightningDataModule of synthetic pages, each drawn when its turn comes."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import cast

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from digits.config.data import PagesConfig
from digits.data import mnist
from digits.data.sampler import ChunkLoader, ChunkSampler, Share
from digits.data.synthetic import pages
from digits.data.synthetic.glyphs import Digits
from digits.files import project_path
from digits.processes import start_workers

HELD_OUT = 5000
"""MNIST's last training images, which the validation's pages are written with."""

VALIDATION_SEED = 2**32
"""The seed of the pages to validate with; no run has it, and every run is validated on the same pages."""

PageBatch = tuple[Tensor, Tensor]
"""Pictures, float32 [N, 1, SIDE, SIDE] in [0, 1], and their targets, float32 [N, 5, SIDE, SIDE]."""


class DrawnPages(Dataset[PageBatch]):
    """Pages by their places, drawn in several processes.

    Args:
        digits: MNIST's images, uint8 [N, 28, 28], and labels, to write with.
        seed: what they are drawn by.
        processes: what draws them; None for this process alone.
    """

    def __init__(self, digits: Digits, seed: int, processes: ProcessPoolExecutor | None) -> None:
        self.digits = digits
        self.seed = seed
        self.processes = processes

    def __getitem__(self, places: Tensor) -> PageBatch:
        """Draw the pages of these places, int64 [N]."""
        if self.processes is None:
            drawn = [pages.draw(place, self.seed, self.digits) for place in places.tolist()]
        else:
            drawn = list(self.processes.map(partial(pages.draw_here, self.seed), places.tolist()))
        pictures = torch.from_numpy(np.stack([picture for picture, _ in drawn]))[:, None].float() / 255
        return pictures, torch.from_numpy(np.stack([pages.targets(numbers) for _, numbers in drawn]))


class PagesDataModule(L.LightningDataModule):
    """Endless synthetic pages to train on, and some that are always the same to validate with.

    Args:
        config: the settings of conf/data/pages.yaml.
        seed: what the pages are drawn by.
    """

    def __init__(self, config: PagesConfig, seed: int) -> None:
        super().__init__()
        self.config = config
        self.seed = seed
        self.processes: ProcessPoolExecutor | None = None

    def setup(self, stage: str) -> None:
        """Read the digits to write with.

        Raises:
            UserError: if they cannot be had.
        """
        if hasattr(self, "digits"):
            return
        folder = project_path(self.config.dir)
        mnist.prepare(folder)
        images, labels = (tensor.numpy() for tensor in mnist.read(folder, train=True))
        self.digits = images[:-HELD_OUT], labels[:-HELD_OUT]
        held_out = DrawnPages((images[-HELD_OUT:], labels[-HELD_OUT:]), VALIDATION_SEED, None)
        self.val_pages = TensorDataset(*held_out[torch.arange(self.config.val_size)])

    def first_pages(self, count: int) -> PageBatch:
        """Draw pages as they are trained on."""
        return DrawnPages(self.digits, self.seed, None)[torch.arange(count)]

    def steps(self, epochs: int) -> int:
        """Return the number of optimizer steps of so many epochs."""
        return epochs * self.steps_in(0)

    def steps_in(self, epoch: int) -> int:
        """Return the number of optimizer steps of an epoch."""
        return -(-self.config.pages_per_epoch // self.config.batch_size)

    def images_in(self, epoch: int) -> int:
        """Return the number of pages that the network sees in an epoch."""
        return self.config.pages_per_epoch

    def train_dataloader(self) -> DataLoader[PageBatch]:
        """Return the pages of the trainer's epoch; each has its place among those of all epochs."""
        trainer = cast(L.Trainer, self.trainer)
        if self.processes is None:
            self.processes = start_workers(None, pages.begin, *self.digits)
        count = self.config.pages_per_epoch
        sampler = ChunkSampler(
            lambda epoch: [Share(range(epoch * count, (epoch + 1) * count), self.config.batch_size)],
            self.steps_in,
            1,
            self.seed,
            lambda: trainer.current_epoch,
            torch.device("cpu"),
        )
        return ChunkLoader(DrawnPages(self.digits, self.seed, self.processes), sampler)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Return the pages to validate with, in order."""
        return DataLoader(self.val_pages, self.config.batch_size)

    def teardown(self, stage: str) -> None:
        """Let the processes go that draw."""
        if self.processes is not None:
            self.processes.shutdown(cancel_futures=True)
            self.processes = None
