"""What one would read many images with instead: `python -m digits.benchmarks.readers tensors FILE.npz ANSWERS.csv`."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms

from digits.benchmarks.peers import network
from digits.models.classifier import MEAN, STD

AT_ONCE = 500
"""Images a forward pass."""


@torch.no_grad()
def read(way: str, file: Path, answers: Path) -> None:
    """Write the likeliest digit of each image of an .npz, by a LeNet-5 whose weights do not matter here.

    Args:
        way: tensors, or loader for torchvision's transforms and a DataLoader.
        file: with x, uint8 [N, 28, 28].
        answers: the CSV to write.
    """
    images = np.load(file)["x"]
    net = network("lenet5").eval()
    batches: Any
    if way == "tensors":
        batches = ((one.unsqueeze(1).float() / 255 - MEAN) / STD for one in torch.from_numpy(images).split(AT_ONCE))
    else:
        scaled = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
        batches = DataLoader(images, AT_ONCE, collate_fn=lambda some: torch.stack([scaled(one) for one in some]))
    digits: list[Tensor] = [net(batch).argmax(dim=1) for batch in batches]
    np.savetxt(answers, torch.cat(digits).numpy(), fmt="%d")


if __name__ == "__main__":
    read(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
