"""A small convolutional network of today."""

import torch
from torch import Tensor, nn

from digits.config import TrainConfig
from digits.models.classifier import DigitClassifier
from digits.models.convolution import PooledConv2d


class ConvNet(DigitClassifier):
    """Five convolutions, each with batch normalisation and ReLU, and one dense layer; 279,818 weights.

    Two 3x3 convolutions behind each other see as far as a 5x5 one with fewer weights (Simonyan and Zisserman 2015);
    batch normalisation (Ioffe and Szegedy 2015) lets them learn at high rates; the mean over the last maps instead of
    dense layers (Lin, Chen, Yan 2014) leaves little to learn by heart.
    """

    def __init__(self, settings: TrainConfig) -> None:
        super().__init__(settings)
        self.layers = nn.Sequential(
            PooledConv2d(1, 32, kernel_size=5, padding=2),  # [32, 14, 14]
            nn.BatchNorm2d(32),
            *_block(32, 64),
            *_block(64, 64),
            nn.MaxPool2d(2),  # [64, 7, 7]
            *_block(64, 128),
            *_block(128, 128),
            nn.AvgPool2d(7),  # the mean of each map
            nn.Flatten(),
            nn.Dropout(settings.model.dropout),
            nn.Linear(128, 10),
        ).to(memory_format=torch.channels_last)  # in which a CPU and a card are fastest

    def scaled(self, images: Tensor) -> Tensor:
        """Bring images from [0, 1] to what the first layer takes."""
        return super().scaled(images).contiguous(memory_format=torch.channels_last)


def _block(channels: int, maps: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, maps, 3, padding=1), nn.BatchNorm2d(maps), nn.ReLU()]
