"""The event file of a run, which TensorBoard shows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from digits.files import markdown_table
from digits.tracking.pictures import Picture


class TensorBoard(SummaryWriter):
    """The event file of a run, in the folder that it is made with.

    With the first step of a run that goes on as its `purge_step`, what an earlier process wrote from there on is not
    shown.
    """

    def add_values(self, values: dict[str, float], step: int) -> None:
        """Add a point to the curve of each tag."""
        for tag, value in values.items():
            self.add_scalar(tag, value, step)

    def add_picture(self, tag: str, picture: Picture, step: int) -> None:
        """Add an RGB picture, uint8 [height, width, 3]."""
        self.add_image(tag, picture, step, dataformats="HWC")

    def add_config(self, text: str) -> None:
        """Add the composed config, YAML."""
        self.add_text("config", "\n".join(f"    {line}" for line in text.splitlines()))  # four spaces: as it is

    def add_hyperparameters(self, settings: dict[str, Any], metrics: dict[str, float]) -> None:
        """Add the run to the HParams page, with its final figures as the metrics.

        Args:
            settings: by dotted key.
            metrics: by tags that have a scalar of their own.
        """
        plain = {
            key: value if isinstance(value, bool | int | float | str) else str(value) for key, value in settings.items()
        }
        file_writer: Any = self.file_writer  # add_hparams would open a second file, in a folder of its own
        for summary in hparams(plain, metrics):
            file_writer.add_summary(summary)


def digits_table(counts: NDArray[np.int64]) -> str:
    """Return the table of TP, FP, FN, TN, precision, recall and F1 of each digit, of a confusion matrix [10, 10]."""
    hits = counts.diagonal()
    false_alarms, misses = counts.sum(axis=0) - hits, counts.sum(axis=1) - hits
    rest = counts.sum() - hits - false_alarms - misses
    precision, recall = hits / np.maximum(hits + false_alarms, 1), hits / np.maximum(hits + misses, 1)
    shares = np.stack([precision, recall, 2 * hits / np.maximum(2 * hits + false_alarms + misses, 1)], axis=1)
    whole = np.stack([np.arange(len(counts)), hits, false_alarms, misses, rest], axis=1)
    rows = [
        [*map(str, row), *(f"{share:.4f}" for share in of_digit)] for row, of_digit in zip(whole, shares, strict=True)
    ]
    mean = ["mean", "", "", "", "", *(f"{share:.4f}" for share in shares.mean(axis=0))]
    return markdown_table(("digit", "TP", "FP", "FN", "TN", "precision", "recall", "F1"), [*rows, mean])
