"""What one would read many images with instead: `python -m digits.benchmarks.readers tensors FILE.npz OUT.csv`."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms

from digits.models.lenet5 import LeNet5

BATCH_SIZE = 500
"""Images a forward pass."""


@torch.no_grad()
def read(way: str, file: Path, predictions: Path) -> None:
    """Write the likeliest digit of each image of an .npz, by a LeNet-5 whose weights do not matter here.

    Args:
        way: tensors, or loader for torchvision's transforms and a DataLoader.
        file: with x, uint8 [N, 28, 28].
        predictions: the CSV to write.
    """
    images = np.load(file)["x"]
    net = LeNet5().eval()
    batches: Any
    if way == "tensors":
        batches = (batch.unsqueeze(1).float() / 255 for batch in torch.from_numpy(images).split(BATCH_SIZE))
    else:
        to_tensor = transforms.ToTensor()
        batches = DataLoader(
            images, BATCH_SIZE, collate_fn=lambda batch: torch.stack([to_tensor(image) for image in batch])
        )
    digits: list[Tensor] = [net(batch).argmax(dim=1) for batch in batches]
    np.savetxt(predictions, torch.cat(digits).numpy(), fmt="%d")


if __name__ == "__main__":
    read(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
