"""What one would train with instead: the same networks and batches, the ways that tutorials and templates go.

They are as those write them, in float32 and with nothing tuned; the plain loop over tensors in memory is the best.
"""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler
from torchmetrics.classification import MulticlassAccuracy
from torchvision import datasets, transforms

from digits.benchmarks.round_robin import RoundRobin
from digits.config.model import CLASSES
from digits.models.lenet5 import LeNet5
from digits.models.mlp import MLP

RATE = 1e-3
"""Adam's learning rate, everywhere."""


NETWORKS: dict[str, type[nn.Module]] = {"lenet5": LeNet5, "sigmoid": MLP}
"""From images [N, 1, 28, 28] in [0, 1] to logits [N, 10]."""


def bare(
    turns: RoundRobin, model: str, batch_size: int, images: int, data_dir: str, device: str, compiled: bool = False
) -> None:
    """Train in a plain loop over tensors in memory, on the device; `compiled` into CUDA graphs by torch.compile."""
    mnist = datasets.MNIST(data_dir)
    pixels, labels = mnist.data.unsqueeze(1).to(device), mnist.targets.to(device)
    net = NETWORKS[model]().to(device)
    optimizer = torch.optim.Adam(net.parameters(), RATE, fused=True)

    def loss_of(images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(net(images.float() / 255), labels)

    if compiled:
        loss_of = torch.compile(loss_of, mode="reduce-overhead")
    while True:
        turns.wait(images)
        for indices in torch.randperm(len(labels), device=device)[:images].split(batch_size):
            loss = loss_of(pixels[indices], labels[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()  # waits for a GPU to finish


def examples(turns: RoundRobin, model: str, batch_size: int, images: int, data_dir: str, device: str) -> None:
    """Train in a plain loop over torchvision's images, one by one through a DataLoader, as in pytorch/examples."""
    net = NETWORKS[model]().to(device)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    while True:
        turns.wait(images)
        for batch, labels in _loader(data_dir, batch_size, images):
            loss = F.cross_entropy(net(batch.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()


def template(turns: RoundRobin, model: str, batch_size: int, images: int, data_dir: str, device: str) -> None:
    """Train with Lightning and a DataLoader, and with the logging that templates have, as lightning-hydra-template."""
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        trainer = L.Trainer(
            max_epochs=-1,
            accelerator="cpu" if device == "cpu" else "gpu",
            devices=1,
            default_root_dir=folder,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        trainer.fit(_Template(model, turns, images), _loader(data_dir, batch_size, images))


class _Template(L.LightningModule):
    def __init__(self, model: str, turns: RoundRobin, images: int) -> None:
        super().__init__()
        self.net = NETWORKS[model]()
        self.accuracy = MulticlassAccuracy(CLASSES)
        self.turns, self.images = turns, images

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self.net(images)
        loss = F.cross_entropy(logits, labels)
        self.accuracy(logits, labels)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/accuracy", self.accuracy, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), RATE)

    def on_train_epoch_start(self) -> None:
        self.turns.wait(self.images)


def _loader(data_dir: str, batch_size: int, images: int) -> DataLoader[Any]:
    dataset = datasets.MNIST(Path(data_dir), transform=transforms.ToTensor())
    return DataLoader(dataset, batch_size, sampler=RandomSampler(dataset, num_samples=images))
