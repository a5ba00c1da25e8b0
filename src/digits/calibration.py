"""Make probabilities mean what they say, and find the one below which a picture is no digit; from validation alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_calibration_error

from digits.data.chunks import ResidentImages
from digits.data.datamodule import EVALUATION_BATCH_SIZE, MNISTDataModule
from digits.models.classifier import DigitClassifier
from digits.models.config import CLASSES

BINS = 15
"""Of confidence, for the expected calibration error (Guo et al. 2017, section 4)."""

MOST_REJECTED = {"mnist": 0.003, "drawn": 0.01}
"""The share of the validation's digits that may be taken for none: MNIST's, and drawn ones, which are odder."""


@dataclass(frozen=True)
class Calibration:
    """What validation says of a network's confidence."""

    temperature: float = 1.0
    """The logits are divided by it (Guo et al. 2017, section 4.2)."""
    reject_below: float = 0.0
    """A picture whose likeliest digit is less probable is none."""


def calibrate(
    logits_of: Callable[[ResidentImages], Tensor], data: MNISTDataModule
) -> tuple[Calibration, dict[str, float]]:
    """Fit temperature and threshold on the validation images; without these, leave probabilities as they are.

    Args:
        logits_of: gives the network's logits, float32 [N, 10], on the CPU.
        data: with the validation images.

    Returns:
        The calibration, and its figures by their tags: `val/temperature`, `val/reject_below`, and the shares of
        the validation's digits and of its negatives, where there are some, that are rejected.
    """
    if not len(data.val_set):
        return Calibration(), {}
    found = logits_of(data.val_set)
    temperature = fit_temperature(found, data.val_set.labels)
    confidences = {"mnist": _confidences(found, temperature)}
    names = {"digits": "drawn", "negatives": "negatives"}
    for kind, dataset in data.drawn.items():
        confidences[names[kind]] = _confidences(logits_of(dataset), temperature)
    digits = [(name, share) for name, share in MOST_REJECTED.items() if name in confidences]
    reject_below = min(float(np.quantile(confidences[name], share, method="lower")) for name, share in digits)
    rejected = {f"val/{name}_rejected": float((one < reject_below).mean()) for name, one in confidences.items()}
    figures = {"val/temperature": temperature, "val/reject_below": reject_below, **rejected}
    return Calibration(temperature, reject_below), {tag: round(value, 6) for tag, value in figures.items()}


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Find the temperature with the least cross-entropy.

    Args:
        logits: float32 [N, 10].
        labels: int64 [N].

    Returns:
        The temperature, from 1/20 to 20.
    """

    def loss(logarithm: float) -> float:
        return float(F.cross_entropy(logits.double() / math.exp(logarithm), labels))

    return math.exp(minimize_scalar(loss, bounds=(-math.log(20), math.log(20)), method="bounded").x)


def figures(probabilities: Tensor, labels: Tensor, stage: str) -> dict[str, float]:
    """Give `<stage>/ece`, the expected calibration error of 15 bins, 0 to 1, and `<stage>/nll`, nats an image.

    Args:
        probabilities: float32 [N, 10].
        labels: int64 [N].
        stage: the first part of the tags.
    """
    ece = multiclass_calibration_error(probabilities, labels, CLASSES, BINS)
    nll = F.nll_loss(probabilities.double().clamp(min=1e-12).log(), labels)
    return {f"{stage}/ece": round(float(ece), 7), f"{stage}/nll": round(float(nll), 7)}


def scaled(probabilities: Tensor, temperature: float) -> Tensor:
    """Give the probabilities [N, 10] that a network's would be at another temperature."""
    return (probabilities.double().clamp(min=1e-30).log() / temperature).softmax(dim=1).float()


@torch.no_grad()
def logits(model: DigitClassifier, dataset: ResidentImages) -> Tensor:
    """Give the logits, float32 [N, 10], on the CPU, of all images."""
    model.eval()
    batches = dataset.images.unsqueeze(1).split(EVALUATION_BATCH_SIZE)
    return torch.cat([model(batch.to(model.device).float() / 255).float().cpu() for batch in batches])


def _confidences(logits: Tensor, temperature: float) -> NDArray[np.float32]:
    confidences: NDArray[np.float32] = (logits / temperature).softmax(dim=1).amax(dim=1).numpy()
    return confidences
