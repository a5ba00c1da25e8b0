"""What conf/data/ and conf/augment/ must fit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from digits.config.checks import MAX_COUNT, NotEmpty, Range, Settings
from digits.errors import require

MNIST_TRAINING_IMAGES = 60_000

Fraction = Annotated[float, Range(0, 1, below=True)]
"""Of a mini-batch."""

Count = Annotated[int | None, Range(1, MAX_COUNT)]


@dataclass
class DataConfig(Settings):
    """Where the images come from and what a mini-batch is made of."""

    PREFIX = "data."

    path: Annotated[str | None, NotEmpty("a file or folder")]
    """The training images: a file (IDX, CSV, .mat, .npz; may be gzipped) or a folder of four IDX files; null: MNIST."""
    test_path: Annotated[str | None, NotEmpty("a file")]
    """The file of the test images, where they are not in `path`."""
    test_size: Count
    """How many images at the end of `path` to test with, where it has training and test images in one."""
    dir: str
    """The cache folder that the files are unpacked to."""
    batch_size: Count
    """Images a mini-batch, which is what one optimizer step sees; null: all at once."""
    chunk_size: Count
    """Mini-batches a chunk: how many steps one call of `training_step` takes; changes the speed, not the result. null:
    as many as make some 4,000 images, and 16,000 on a GPU."""
    steps_per_epoch: Count
    """Optimizer steps an epoch; null: as many as a pass over the training images has."""
    hard_example_fraction: Annotated[float, Range(0, 1, above=True)]
    """The fraction of the training images that the epochs after the first take: those with the largest loss when last
    seen (after Loshchilov and Hutter 2016, Online Batch Selection for Faster Training of Neural Networks)."""
    val_size: Annotated[int, Range(0, MAX_COUNT)]
    """Training images held out for validation, stratified."""
    train_size: int | None
    """Training images used, stratified; null: all that are not held out."""
    synthetic_fraction: Fraction
    """The fraction of a mini-batch that is digits drawn by data/synthetic/ instead of MNIST's."""
    negative_fraction: Fraction
    """The fraction that is non-digits: letters, signs, scribbles; the network learns to be unsure of them."""
    synthetic_count: Annotated[int, Range(10, 10_000_000)]
    """How many digits are drawn to take that fraction from, and as many non-digits."""
    own_digits: Annotated[str | None, NotEmpty("a folder")]
    """Your own digits: a folder of pictures named LABEL_n, such as draw.py saves; null: own_digits/ in `dir`."""
    own_fraction: Fraction
    """The fraction of a mini-batch that is taken from `own_digits`."""
    own_weight: Annotated[float, Range(0, 1000, above=True)]
    """How many times as much as another image each of them counts in the loss."""

    def __post_init__(self) -> None:
        """Check the settings against each other, and make the paths good for any working directory."""
        super().__post_init__()
        for key in ("path", "test_path", "own_digits"):
            path = getattr(self, key)
            setattr(self, key, path and str(Path(path).expanduser().resolve()))
        right = "null where data.path is: MNIST has test images of its own"
        for key in ("test_path", "test_size"):
            value = getattr(self, key)
            require(value is None or self.path is not None, f"data.{key}", value, right)
        single = self.test_path is None or self.test_size is None
        require(single, "data.test_size", self.test_size, "null where data.test_path gives the test images")
        self._check_fractions()
        if self.path is None:
            self.check_fits(MNIST_TRAINING_IMAGES)

    def _check_fractions(self) -> None:
        size = self.batch_size
        for key in ("synthetic_fraction", "negative_fraction", "own_fraction"):
            fraction = getattr(self, key)
            fit = fraction == 0 or (size is not None and round(fraction * size) >= 1)
            right = "0 where data.batch_size=null, which is all at once"
            require(
                fit, f"data.{key}", fraction, right if size is None else f"0, or one image of a batch, {1 / size:.2g}"
            )
        fractions = self.synthetic_fraction + self.negative_fraction + self.own_fraction
        right = "less than 1 together, so that a batch has an image of MNIST as well"
        require(self.mnist_per_batch != 0, "synthetic, negative and own fraction", f"{fractions:.4g}", right)
        passes = size is not None and self.steps_per_epoch is None and self.mnist_per_batch == size
        right = "1 unless each epoch is a pass over MNIST or data.path in mini-batches, and nothing else"
        fraction = self.hard_example_fraction
        require(fraction == 1 or passes, "data.hard_example_fraction", fraction, right)

    def check_fits(self, images: int) -> None:
        """Check what is asked of the training images against how many there are.

        Raises:
            UserError: if there are too few.
        """
        right = f"0 to {images - 1}, so that some of the {images} images are left to train on"
        require(self.val_size < images, "data.val_size", self.val_size, right)
        left = images - self.val_size
        right = f"1 to {left} ({images} less data.val_size), or null for all of these"
        require(self.train_size is None or 1 <= self.train_size <= left, "data.train_size", self.train_size, right)
        right = f"1 to {images}, or null for all of these"
        require(self.batch_size is None or self.batch_size <= images, "data.batch_size", self.batch_size, right)

    @property
    def synthetic_per_batch(self) -> int:
        """Drawn digits in a mini-batch."""
        return round(self.synthetic_fraction * (self.batch_size or 0))

    @property
    def own_per_batch(self) -> int:
        """The user's own digits in a mini-batch."""
        return round(self.own_fraction * (self.batch_size or 0))

    @property
    def negatives_per_batch(self) -> int:
        """Non-digits in a mini-batch."""
        return round(self.negative_fraction * (self.batch_size or 0))

    @property
    def mnist_per_batch(self) -> int | None:
        """MNIST's images in a mini-batch; None for all."""
        others = self.synthetic_per_batch + self.own_per_batch + self.negatives_per_batch
        return self.batch_size and max(0, self.batch_size - others)


@dataclass
class AugmentConfig(Settings):
    """How training images are changed; its name is that of its file in conf/augment/."""

    PREFIX = "augment."

    name: str


@dataclass
class DistortionConfig(AugmentConfig):
    """Each image is distorted its own way, evenly from minus to plus each value."""

    rotation: Annotated[float, Range(0, 180)]
    """Degrees."""
    shear: Annotated[float, Range(0, 2)]
    """Pixels to the side for each pixel upwards."""
    aspect: Annotated[float, Range(0, 2)]
    """The logarithm of height by width."""
    scale: Annotated[float, Range(0, 2)]
    """The logarithm of the size."""
    shift: Annotated[float, Range(0, 14)]
    """Pixels, to the side and up or down."""
    thickness: Annotated[float, Range(0, 1)]
    """Of the strokes: 1 is a pixel more or less on each side."""
    elastic: Annotated[float, Range(0, 14)]
    """The standard deviation of the elastic displacement, in pixels."""
    end_share: Annotated[float, Range(0, 1)]
    """The share of the run's epochs, the last ones, in which all this is weaker or stronger."""
    end_strength: Annotated[float, Range(0, 2)]
    """How many times as strong it then is."""

    def strength(self, epoch: int, epochs: int) -> float:
        """Return how many times as far as the ranges say an epoch, from 0, of so many distorts."""
        return self.end_strength if epoch >= epochs - round(self.end_share * epochs) else 1.0
