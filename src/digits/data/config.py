"""What conf/data/ and conf/augment/ must fit."""

from dataclasses import dataclass
from pathlib import Path

from digits.errors import require

MNIST_TRAINING_IMAGES = 60_000

MOST_AT_ONCE = 2048
"""Images; a larger mini-batch's gradient is summed over pieces, whose activations stay in the processor's cache."""

LARGEST = 1_000_000_000
"""Of whatever is counted: beyond any use, and far from where whole numbers overflow."""


@dataclass
class DataConfig:
    """Where the images come from and how they are dealt out."""

    path: str | None
    """The training images: a file (IDX, CSV, .mat, .npz; may be gzipped) or a folder of four IDX files; null: MNIST."""
    test_path: str | None
    """The file of the test images, where they are not in `path`."""
    test_size: int | None
    """How many images at the end of `path` to test with, where it has training and test images in one."""
    dir: str
    """The cache folder that the files are unpacked to."""
    batch_size: int | None
    """Images a mini-batch, which is what one optimizer step sees; null: all at once."""
    chunk_size: int | None
    """Mini-batches a chunk: how many steps one call of `training_step` takes; changes the speed, not the result, but
    for optimizer.ema, which moves once a chunk. null: as many as make some 4,000 images, and 16,000 on a card."""
    steps_per_epoch: int | None
    """Optimizer steps an epoch; null: as many as a pass over the training images has."""
    hardest: float
    """The share of the training images that the epochs after the first take: those that were read worst when last seen
    (after Loshchilov and Hutter 2016, Online Batch Selection for Faster Training of Neural Networks)."""
    mixup: float
    """How evenly an image is mixed with another one of its mini-batch: both parameters of the beta distribution that
    the share is drawn from (Zhang et al. 2018, mixup); 0: not at all."""
    val_size: int
    """Training images held out for validation, stratified."""
    train_size: int | None
    """Training images used, stratified; null: all that are not held out."""
    split_seed: int
    """What the held-out and the used images are drawn by; independent of the run's seed."""
    strokes: float
    """The share of a mini-batch that is digits drawn by the stroke generator instead of MNIST's."""
    negatives: float
    """The share that is no digits: letters, signs, scribbles; the network learns to be unsure of them."""
    drawings: int
    """How many digits are drawn to take that share from, and as many things that are none."""
    mine: str | None
    """Digits of one's own: a folder of pictures named LABEL_n, such as draw.py saves; null: mine/ in `dir`."""
    mine_share: float
    """The share of a mini-batch that is taken from `mine`."""
    mine_weight: float
    """How many times as much as another image such a picture counts in the loss."""

    def __post_init__(self) -> None:
        """Check the ranges, and make the paths good for any working directory."""
        for key in ("path", "test_path", "mine"):
            path = getattr(self, key)
            require(path != "", f"data.{key}", "", "a name, or null")
            setattr(self, key, path and str(Path(path).expanduser().resolve()))
        self._check_test_images()
        for key in ("batch_size", "chunk_size", "steps_per_epoch", "test_size"):
            value = getattr(self, key)
            require(value is None or 1 <= value <= LARGEST, f"data.{key}", value, f"1 to {LARGEST}, or null")
        require(0 <= self.val_size <= LARGEST, "data.val_size", self.val_size, f"0 to {LARGEST}")
        require(0 <= self.split_seed < 2**32, "data.split_seed", self.split_seed, f"0 to {2**32 - 1}")
        require(10 <= self.drawings <= 10_000_000, "data.drawings", self.drawings, "10 to 10000000")
        require(0 < self.mine_weight <= 1000, "data.mine_weight", self.mine_weight, "above 0, to 1000")
        self._check_shares()
        self._check_hardest()
        self._check_mixup()
        if self.path is None:
            self.check_fits(MNIST_TRAINING_IMAGES)

    def _check_test_images(self) -> None:
        right = "null where data.path is: MNIST has test images of its own"
        for key in ("test_path", "test_size"):
            value = getattr(self, key)
            require(value is None or self.path is not None, f"data.{key}", value, right)
        alone = self.test_path is None or self.test_size is None
        require(alone, "data.test_size", self.test_size, "null where data.test_path gives the test images")

    def _check_shares(self) -> None:
        shares = {"strokes": self.strokes, "negatives": self.negatives, "mine_share": self.mine_share}
        for key, share in shares.items():
            require(0 <= share < 1, f"data.{key}", share, "0 to below 1")
            if self.batch_size is None:
                require(share == 0, f"data.{key}", share, "0 where data.batch_size=null, which is all at once")
            else:
                right = f"0, or at least {1 / self.batch_size:.2g}, which is one image of a batch"
                require(share == 0 or round(share * self.batch_size) >= 1, f"data.{key}", share, right)
        together, right = f"{sum(shares.values()):.4g}", "less than 1, so that a batch has an image of MNIST as well"
        require(self.mnist_per_batch != 0, "data.strokes+data.negatives+data.mine_share", together, right)

    def _check_hardest(self) -> None:
        require(0 < self.hardest <= 1, "data.hardest", self.hardest, "above 0, to 1")
        others = self.strokes_per_batch + self.mine_per_batch + self.negatives_per_batch
        passes = self.batch_size is not None and self.steps_per_epoch is None and not others
        right = "1 unless each epoch is a pass over MNIST or data.path in mini-batches, and nothing else"
        require(self.hardest == 1 or passes, "data.hardest", self.hardest, right)

    def _check_mixup(self) -> None:
        require(0 <= self.mixup <= 100, "data.mixup", self.mixup, "0 to 100")
        alike = not (self.mine_per_batch or self.negatives_per_batch) and 2 <= (self.batch_size or 0) <= MOST_AT_ONCE
        right = f"0 unless all of a mini-batch counts alike and data.batch_size is 2 to {MOST_AT_ONCE}"
        require(self.mixup == 0 or alike, "data.mixup", self.mixup, right)

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
    def strokes_per_batch(self) -> int:
        """Drawn digits in a mini-batch."""
        return round(self.strokes * (self.batch_size or 0))

    @property
    def mine_per_batch(self) -> int:
        """Pictures of one's own in a mini-batch."""
        return round(self.mine_share * (self.batch_size or 0))

    @property
    def negatives_per_batch(self) -> int:
        """Things that are no digits in a mini-batch."""
        return round(self.negatives * (self.batch_size or 0))

    @property
    def mnist_per_batch(self) -> int | None:
        """MNIST's images in a mini-batch; None for all."""
        others = self.strokes_per_batch + self.mine_per_batch + self.negatives_per_batch
        return self.batch_size and max(0, self.batch_size - others)


@dataclass
class AugmentConfig:
    """How training images are changed; its name is that of its file in conf/augment/."""

    name: str


@dataclass
class DistortionConfig(AugmentConfig):
    """Each image is distorted its own way, evenly from minus to plus each value."""

    rotation: float
    """Degrees."""
    shear: float
    """Pixels to the side for each pixel upwards."""
    aspect: float
    """The logarithm of height by width."""
    scale: float
    """The logarithm of the size."""
    shift: float
    """Pixels, to the side and up or down."""
    thickness: float
    """Of the strokes: 1 is a pixel more or less on each side."""
    elastic: float
    """The standard deviation of the elastic displacement, in pixels."""
    end_share: float
    """The share of the run's epochs, the last ones, in which all this is weaker or stronger."""
    end_strength: float
    """How many times as strong it then is."""
    versions: int | None
    """How many distorted versions of each training image are made before the first step, an epoch taking one of each;
    null: each image is distorted anew each time. The versions are the same for every seed."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        largest = {"rotation": 180, "shear": 2, "aspect": 2, "scale": 2, "shift": 14, "thickness": 1, "elastic": 14}
        for key, most in largest.items():
            value = getattr(self, key)
            require(0 <= value <= most, f"augment.{key}", value, f"0 to {most}")
        require(0 <= self.end_share <= 1, "augment.end_share", self.end_share, "0 to 1")
        require(0 <= self.end_strength <= 2, "augment.end_strength", self.end_strength, "0 to 2")
        right = "1 to 1000, or null for new ones each time"
        require(self.versions is None or 1 <= self.versions <= 1000, "augment.versions", self.versions, right)

    def ends_at(self, epochs: int) -> int:
        """Give the first epoch, from 0, of those with another strength; `epochs` where there is none."""
        return epochs - round(self.end_share * epochs) if self.end_strength != 1 else epochs
