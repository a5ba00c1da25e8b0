"""What is said where a card's memory is too small; here a network that takes no more than so many images."""

import pytest
import torch
from conftest import Train
from torch import Tensor

from digits.errors import UserError
from digits.models.classifier import DigitClassifier


def room_for(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = DigitClassifier.outputs

    def limited(self: DigitClassifier, images: Tensor) -> Tensor:
        if len(images) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 8 GiB")
        return outputs(self, images)

    monkeypatch.setattr(DigitClassifier, "outputs", limited)


@pytest.mark.parametrize(
    ("most", "right"),
    [(70, "64 would fit"), (10, "8 would fit"), (0, "not even one image fits; another program may have the card's")],
)
def test_the_batch_size_that_would_fit_is_said(
    train_tiny: Train, monkeypatch: pytest.MonkeyPatch, most: int, right: str
) -> None:
    room_for(most, monkeypatch)
    with pytest.raises(UserError) as error:
        train_tiny("model=sigmoid", "data.batch_size=256")
    line = str(error.value)
    assert line.startswith("data.batch_size=256: the CPU")
    assert f"has not enough memory (CUDA out of memory); {right}" in line
    assert "\n" not in line


def test_a_batch_that_fits_by_itself_is_not_blamed(train_tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 47.00 GiB")

    monkeypatch.setattr("digits.data.datamodule.MNISTDataModule.train_dataloader", full)
    with pytest.raises(UserError, match=r"a mini-batch fits by itself; try a smaller data\.chunk_size"):
        train_tiny("model=sigmoid")
