"""Make probabilities mean what they say, and find that below which a picture is a non-digit; by validation alone."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_calibration_error

from digits.config.model import CLASSES
from digits.data.chunks import Batch
from digits.data.datamodule import EVALUATION_BATCH_SIZE, MNISTDataModule
from digits.training.classifier import DigitClassifier
from digits.training.loss import probabilities

BINS = 15
"""Bins of confidence for the expected calibration error (Guo et al. 2017, section 4)."""

MAX_REJECTED = {"mnist": 0.003, "synthetic": 0.01}
"""The share of validation digits that may be taken for non-digits: MNIST's, and synthetic ones, which are odder."""


@dataclass(frozen=True)
class Calibration:
    """What validation says of a network's confidence."""

    temperature: float = 1.0
    """The logits are divided by it (Guo et al. 2017, section 4.2)."""
    reject_below: float = 0.0
    """A picture whose likeliest digit is less probable is a non-digit."""


def calibrate(classifier: DigitClassifier, data: MNISTDataModule) -> tuple[Calibration, dict[str, float]]:
    """Fit temperature and threshold on the validation images; without these, leave probabilities as they are.

    Returns:
        The calibration, and its figures by their tags: `val/temperature`, `val/reject_below`, and the shares of
        the validation's digits and of its negatives, where there are some, that are rejected.
    """
    if not len(data.val_set.labels):
        return Calibration(), {}
    logits = logits_of(classifier, data.val_set)
    temperature = fit_temperature(logits, data.val_set.labels)
    confidences = {"mnist": _confidences(logits, temperature)}
    for kind, images in data.synthetic.items():
        name = "synthetic" if kind == "digits" else kind
        confidences[name] = _confidences(logits_of(classifier, images), temperature)
    digits = [(name, share) for name, share in MAX_REJECTED.items() if name in confidences]
    reject_below = min(float(np.quantile(confidences[name], share, method="lower")) for name, share in digits)
    rejected = {f"val/{name}_rejected": float((values < reject_below).mean()) for name, values in confidences.items()}
    figures = {"val/temperature": temperature, "val/reject_below": reject_below, **rejected}
    return Calibration(temperature, reject_below), {tag: round(value, 6) for tag, value in figures.items()}


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature with the least cross-entropy, from 1/20 to 20.

    Args:
        logits: float32 [N, 10], or [N, 11] with that of a non-digit.
        labels: int64 [N].
    """

    def loss(logarithm: float) -> float:
        return float(F.cross_entropy(logits.double() / math.exp(logarithm), labels))

    return math.exp(minimize_scalar(loss, bounds=(-math.log(20), math.log(20)), method="bounded").x)


def confidence_figures(probabilities: Tensor, labels: Tensor, stage: str) -> dict[str, float]:
    """Return `<stage>/ece`, the expected calibration error of 15 bins, 0 to 1, and `<stage>/nll`, nats an image.

    Args:
        probabilities: float32 [N, 10].
        labels: int64 [N].
        stage: the first part of the tags.
    """
    ece = multiclass_calibration_error(probabilities, labels, CLASSES, BINS)
    nll = F.nll_loss(probabilities.double().clamp(min=1e-12).log(), labels)
    return {f"{stage}/ece": round(float(ece), 7), f"{stage}/nll": round(float(nll), 7)}


@torch.no_grad()
def logits_of(classifier: DigitClassifier, images: Batch) -> Tensor:
    """Return the logits, float32, on the CPU, of all images."""
    classifier.eval()
    batches = images.images.unsqueeze(1).split(EVALUATION_BATCH_SIZE)
    return torch.cat([classifier(batch.to(classifier.device).float() / 255).float().cpu() for batch in batches])


def _confidences(logits: Tensor, temperature: float) -> NDArray[np.float32]:
    confidences: NDArray[np.float32] = probabilities(logits, temperature).amax(dim=1).numpy()
    return confidences
