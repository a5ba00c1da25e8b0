"""What conf/data/ and conf/augment/ must fit."""

from dataclasses import dataclass
from typing import Annotated

from digits.config.checks import MAX_COUNT, Settings, between, not_empty
from digits.errors import require
from digits.files import resolved

MNIST_TRAINING_IMAGES = 60_000

END_SHARE = 0.2
"""The share of a run's epochs, the last ones, that distort `end_strength` times as far."""

Fraction = Annotated[float, between(0, 1, below=True)]
"""A share of a mini-batch."""

Count = Annotated[int | None, between(1, MAX_COUNT)]


@dataclass
class DataConfig(Settings, prefix="data."):
    """What is trained on; its name is that of its file in conf/data/."""

    name: str
    dir: str
    batch_size: Count
    val_size: Annotated[int, between(0, MAX_COUNT)]


@dataclass
class PagesConfig(DataConfig):
    """Synthetic pages, drawn when their turn comes."""

    batch_size: Annotated[int, between(1, MAX_COUNT)]
    val_size: Annotated[int, between(1, MAX_COUNT)]
    pages_per_epoch: Annotated[int, between(1, MAX_COUNT)]


@dataclass
class MNISTConfig(DataConfig):
    """Where the images come from and what a mini-batch is made of."""

    path: Annotated[str | None, not_empty("a file or folder")]
    test_path: Annotated[str | None, not_empty("a file")]
    test_size: Count
    chunk_size: Count
    steps_per_epoch: Count
    hard_example_fraction: Annotated[float, between(0, 1, above=True)]
    train_size: int | None
    synthetic_fraction: Fraction
    negative_fraction: Fraction
    synthetic_count: Annotated[int, between(10, 10_000_000)]
    own_digits: Annotated[str | None, not_empty("a folder")]
    own_fraction: Fraction

    def __post_init__(self) -> None:
        """Check the settings against each other, and make the paths good for any working directory."""
        super().__post_init__()
        for key in ("path", "test_path", "own_digits"):
            path = getattr(self, key)
            setattr(self, key, path and str(resolved(path)))
        expected = "null where data.path is: MNIST has test images of its own"
        for key in ("test_path", "test_size"):
            value = getattr(self, key)
            require(value is None or self.path is not None, f"data.{key}", value, expected)
        single = self.test_path is None or self.test_size is None
        require(single, "data.test_size", self.test_size, "null where data.test_path gives the test images")
        used = self.own_digits is None or self.own_fraction > 0
        expected = "null where data.own_fraction is 0, as it is without experiment=my_hand"
        require(used, "data.own_digits", self.own_digits, expected)
        self._check_fractions()
        if self.path is None:
            self.check_fits(MNIST_TRAINING_IMAGES)

    def _check_fractions(self) -> None:
        size = self.batch_size
        least = f"0, or one image of a batch, {1 / size:.2g}" if size else "0 where data.batch_size=null: all at once"
        for key in ("synthetic_fraction", "negative_fraction", "own_fraction"):
            fraction = getattr(self, key)
            require(fraction == 0 or self.in_batch(fraction) >= 1, f"data.{key}", fraction, least)
        fractions = self.synthetic_fraction + self.negative_fraction + self.own_fraction
        expected = "less than 1 together, so that a batch has an image of MNIST as well"
        require(self.mnist_per_batch != 0, "synthetic, negative and own fraction", f"{fractions:.4g}", expected)
        passes = size is not None and self.steps_per_epoch is None and self.mnist_per_batch == size
        expected = "1 unless each epoch is a pass over MNIST or data.path in mini-batches, and nothing else"
        fraction = self.hard_example_fraction
        require(fraction == 1 or passes, "data.hard_example_fraction", fraction, expected)

    def check_fits(self, images: int) -> None:
        """Check what is asked of the training images against how many there are.

        Raises:
            UserError: if there are too few.
        """
        expected = f"0 to {images - 1}, so that some of the {images} images are left to train on"
        require(self.val_size < images, "data.val_size", self.val_size, expected)
        left = images - self.val_size
        expected = f"1 to {left} ({images} less data.val_size), or null for all of these"
        require(self.train_size is None or 1 <= self.train_size <= left, "data.train_size", self.train_size, expected)
        expected = f"1 to {images}, or null for all of these"
        require(self.batch_size is None or self.batch_size <= images, "data.batch_size", self.batch_size, expected)

    def in_batch(self, fraction: float) -> int:
        """Return how many images a fraction of a mini-batch is."""
        return round(fraction * (self.batch_size or 0))

    @property
    def mnist_per_batch(self) -> int | None:
        """MNIST's images in a mini-batch; None for all."""
        others = map(self.in_batch, (self.synthetic_fraction, self.own_fraction, self.negative_fraction))
        return self.batch_size and max(0, self.batch_size - sum(others))


@dataclass
class AugmentConfig(Settings, prefix="augment."):
    """How training images are changed; its name is that of its file in conf/augment/."""

    name: str


@dataclass
class DistortionConfig(AugmentConfig):
    """Each image is distorted its own way, evenly from minus to plus each value."""

    rotation: Annotated[float, between(0, 180)]
    shear: Annotated[float, between(0, 2)]
    aspect: Annotated[float, between(0, 2)]
    scale: Annotated[float, between(0, 2)]
    shift: Annotated[float, between(0, 14)]
    thickness: Annotated[float, between(0, 1)]
    elastic: Annotated[float, between(0, 14)]
    end_strength: Annotated[float, between(0, 2)]

    def strength(self, epoch: int, epochs: int) -> float:
        """Return how many times as far as the ranges say an epoch, from 0, of so many distorts."""
        return self.end_strength if epoch >= epochs - round(END_SHARE * epochs) else 1.0
