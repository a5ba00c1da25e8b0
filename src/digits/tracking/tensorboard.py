"""What a run's TensorBoard page shows."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from digits.data.synthetic.strokes import contact_sheet
from digits.files import markdown_table
from digits.tracking import figures


class TensorBoard:
    """The event file of a run, written to its folder.

    Args:
        folder: where the event file goes.
        purge_step: the first step of a run that goes on; what an earlier process wrote from there on is not shown.
    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        self.writer = SummaryWriter(str(folder), purge_step=purge_step)

    def flush(self) -> None:
        """Bring all to the file."""
        self.writer.flush()

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Add a point to the curve of each tag."""
        for tag, value in values.items():
            self.writer.add_scalar(tag, value, step)

    def training_batch(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        """Add a mini-batch as the network sees it: images, float32 [N, 28, 28] in [0, 1], and labels, int64 [N]."""
        self._picture("train/batch", figures.batch(images, labels), 0)

    def synthetic_forms(self) -> None:
        """Add a contact sheet of all forms of the synthetic digits."""
        self._picture("data/synthetic", figures.forms(contact_sheet()), 0)

    def confusion_matrix(self, stage: str, counts: NDArray[np.int64], step: int) -> None:
        """Add the confusion matrix, rows true and columns predicted, of `val` or `test`."""
        right, images = np.trace(counts), counts.sum()
        title = f"{stage}: {right:,} of {images:,} right ({right / images:.2%})"
        self._picture(f"{stage}/confusion_matrix", figures.confusion_matrix(counts, title), step)

    def test(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], probabilities: NDArray[np.float32], step: int
    ) -> None:
        """Add the predictions of the test: the misread ones, and a precision-recall curve for each digit.

        Args:
            images: uint8 [N, 28, 28].
            labels: int64 [N].
            probabilities: float32 [N, 10].
            step: optimizer steps that the tested weights have behind them.
        """
        self._picture("test/misread", figures.misread(images, labels, probabilities), step)
        for digit in range(probabilities.shape[1]):
            self.writer.add_pr_curve(f"test/pr_curve/{digit}", labels == digit, probabilities[:, digit], step)

    def reliability(
        self, before: NDArray[np.float32], after: NDArray[np.float32], labels: NDArray[np.int64], step: int
    ) -> None:
        """Add how often the test's predictions of each confidence are right, before and after the temperature.

        Args:
            before: probabilities, float32 [N, 10].
            after: the same.
            labels: int64 [N].
            step: optimizer steps that the tested weights have behind them.
        """
        self._picture("test/reliability", figures.reliability({"before": before, "after": after}, labels), step)

    def first_predictions(self, images: NDArray[np.uint8], probabilities: NDArray[np.float32], step: int) -> None:
        """Add the first ten test images, uint8 [N, 28, 28], with the ten outputs, [N, 10], and the likeliest digit."""
        self._picture("test/first_ten", figures.predictions(images[:10], probabilities[:10]), step)

    def digits_table(self, counts: NDArray[np.int64], step: int) -> None:
        """Add the table of TP, FP, FN, TN, precision, recall and F1 of each digit, from the test's confusion matrix."""
        rows: list[list[float]] = []
        for digit in range(len(counts)):
            hits = counts[digit, digit]
            false_alarms, misses = counts[:, digit].sum() - hits, counts[digit].sum() - hits
            rest = counts.sum() - hits - false_alarms - misses
            precision, recall = hits / max(hits + false_alarms, 1), hits / max(hits + misses, 1)
            f1 = 2 * hits / max(2 * hits + false_alarms + misses, 1)
            rows.append([digit, hits, false_alarms, misses, rest, precision, recall, f1])
        header = ("digit", "TP", "FP", "FN", "TN", "precision", "recall", "F1")
        cells = [[*map(str, row[:5]), *(f"{share:.4f}" for share in row[5:])] for row in rows]
        means = ["mean", "", "", "", "", *(f"{mean:.4f}" for mean in np.mean(rows, axis=0)[5:])]
        self.writer.add_text("test/digits", markdown_table(header, [*cells, means]), step)

    def first_layer(self, network: nn.Module, step: int) -> None:
        """Add the weights of the first layer, as pictures of what each unit looks for."""
        first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
        weights = first.weight.detach().cpu().numpy()
        side = weights.shape[-1] if weights.ndim == 4 else round(weights.shape[-1] ** 0.5)
        self._picture("model/first_layer", figures.first_layer(weights.reshape(len(weights), -1, side)), step)

    def config(self, text: str) -> None:
        """Add the composed config, YAML."""
        self.writer.add_text("config", "\n".join(f"    {line}" for line in text.splitlines()))  # four spaces: as it is

    def hyperparameters(self, settings: dict[str, Any], metrics: dict[str, float]) -> None:
        """Add the run to the HParams page, with its final figures as the metrics.

        Args:
            settings: by dotted key.
            metrics: by tags that have a scalar of their own.
        """
        plain = {
            key: value if isinstance(value, bool | int | float | str) else str(value) for key, value in settings.items()
        }
        file_writer: Any = self.writer.file_writer  # add_hparams would open a second file, in a folder of its own
        for summary in hparams(plain, metrics):
            file_writer.add_summary(summary)

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()

    def _picture(self, tag: str, picture: figures.Picture, step: int) -> None:
        self.writer.add_image(tag, picture, step, dataformats="HWC")
