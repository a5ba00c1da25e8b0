"""What to say where a card's memory is too small."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from digits.config import TrainConfig
from digits.data.config import MOST_AT_ONCE
from digits.devices import Device
from digits.errors import UserError
from digits.models.classifier import DigitClassifier
from digits.models.config import CLASSES


@contextmanager
def card_errors(model: DigitClassifier, settings: TrainConfig, device: Device) -> Iterator[None]:
    """Turn a card's lack of memory into a UserError that says which batch size would fit.

    Raises:
        UserError: that.
    """
    try:
        yield
        return
    except torch.OutOfMemoryError as error:
        said = str(error).split(". ")[0]
    # only here, because the error holds on to all that was in memory when it was raised
    model.captured = None
    gc.collect()
    asked = min(settings.data.batch_size or MOST_AT_ONCE, MOST_AT_ONCE)
    fits = largest_that_fits(model, torch.device(device.accelerator), asked)
    if fits is None:
        right = "not even one image fits; another program may have the card's memory (nvidia-smi)"
    elif fits == asked:
        right = "a mini-batch fits by itself; try a smaller data.chunk_size, or fewer augment.versions or data.drawings"
    else:
        right = f"{fits} would fit"
    raise UserError(
        f"data.batch_size={settings.data.batch_size}: {device.name} has not enough memory ({said}); {right}"
    )


def largest_that_fits(model: DigitClassifier, device: torch.device, size: int) -> int | None:
    """Give the largest of a batch size, its half, its quarter, ... that a network has memory for; None where none is.

    Args:
        model: the network.
        device: where it computes.
        size: images to begin with.
    """
    found = None
    while found is None and size:
        try:
            model.to(device)
            count = size * model.settings.members
            images, labels = torch.zeros(count, 1, 28, 28, device=device), torch.arange(count, device=device) % CLASSES
            model.loss(model.outputs(images), labels).backward()
            found = size
        except torch.OutOfMemoryError:
            size //= 2
        model.zero_grad()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return found
