"""What TensorBoard shows of the page network: pages to train on, and the ink that it finds on others."""

from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor

from digits.data.pagemodule import PageBatch, PagesDataModule
from digits.tracking.pictures import Picture
from digits.tracking.tracker import Tracker

ACROSS, DOWN = 6, 4
"""Pages of the sheets."""

INK, MISSED, INVENTED = (0, 130, 60), (220, 120, 0), (200, 30, 30)
"""Colours of ink that was found, of ink that was not, and of what is none."""


class PageTracker(Tracker):
    """Follow training and validation of the page network."""

    data: PagesDataModule

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the first pages to train on, with the ink of their digits."""
        super().on_train_start(trainer, pl_module)
        if trainer.global_step == 0:
            self.board.add_picture("data/pages", contact_sheet(*self.data.first_pages(ACROSS * DOWN)), 0)

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to collect."""
        self._ink: list[Tensor] = []

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: PageBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect the ink that was found on the first pages."""
        if len(self._ink) * len(batch[0]) < ACROSS * DOWN:
            self._ink.append(outputs["ink"].cpu())

    def add_validation(self, module: L.LightningModule, step: int) -> None:
        """Show the ink that was found on the first pages."""
        pictures, targets = self.data.val_pages[: ACROSS * DOWN]
        self.board.add_picture("val/ink", contact_sheet(pictures, targets, torch.cat(self._ink)[: len(pictures)]), step)


def contact_sheet(pictures: Tensor, targets: Tensor, ink: Tensor | None = None) -> Picture:
    """Draw pages side by side, the ink of their digits coloured.

    Args:
        pictures: float32 [N, 1, height, width] in [0, 1].
        targets: float32 [N, 5, height, width], as data/synthetic/pages.py says.
        ink: the probability that each pixel is ink of a digit, [N, 2, height, width]; None for the truth.
    """
    truth = targets[:, 0].numpy()
    found = truth > 0 if ink is None else ink[:, 0].float().numpy() > 0.5
    coloured = np.repeat((255 * pictures[:, 0, :, :, None].numpy()).astype(np.uint8), 3, axis=-1)
    for mask, colour in ((found & (truth != 0), INK), (found & (truth == 0), INVENTED), (~found & (truth > 0), MISSED)):
        coloured[mask] = colour
    framed = np.pad(coloured, ((0, -len(truth) % ACROSS), (1, 1), (1, 1), (0, 0)), constant_values=255)
    rows = [np.concatenate(list(framed[start : start + ACROSS]), axis=1) for start in range(0, len(framed), ACROSS)]
    return np.concatenate(rows)
