"""What conf/ must fit: the type, the range and the meaning of every setting. The values are in conf/, not here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.errors import UserError

ROOT = Path(__file__).parents[2]
"""The project's folder."""

MNIST_TRAINING_IMAGES = 60_000

WITHOUT_INFLUENCE = ("data.chunk_size", "data.dir", "outputs_dir", "resume", "run_name", "trainer.devices")
"""Settings that do not change the result of a run."""


def project_path(path: str) -> Path:
    """Give a folder that is relative to the project's, so that commands do the same from any working directory."""
    return ROOT / Path(path).expanduser()


def require(condition: bool, key: str, value: object, right: str) -> None:
    """Raise a UserError that names the setting, its value and what would be right, unless the condition holds."""
    if not condition:
        raise UserError(f"{key}={value}: must be {right}")


def require_one_of(key: str, value: object, choices: Sequence[str]) -> None:
    """Raise a UserError unless the value is one of the choices."""
    require(value in choices, key, value, "one of " + ", ".join(choices))


@dataclass
class ModelConfig:
    """The network; its name is that of its file in conf/model/."""

    name: str


@dataclass
class SigmoidConfig(ModelConfig):
    """The 784-hidden_size-10 network."""

    hidden_size: int

    def __post_init__(self) -> None:
        """Check the range."""
        require(1 <= self.hidden_size <= 100_000, "model.hidden_size", self.hidden_size, "1 to 100000")


@dataclass
class DataConfig:
    """Where the images come from and how they are dealt out."""

    dir: str
    """The cache folder that the files are unpacked to."""
    batch_size: int
    """Images a mini-batch, which is what one optimizer step sees."""
    chunk_size: int
    """Mini-batches a chunk: how many steps one call of `training_step` takes; changes the speed, not the result."""
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

    def __post_init__(self) -> None:
        """Check the ranges."""
        images = MNIST_TRAINING_IMAGES
        require(1 <= self.batch_size <= images, "data.batch_size", self.batch_size, f"1 to {images}")
        require(1 <= self.chunk_size <= images, "data.chunk_size", self.chunk_size, f"1 to {images}")
        right = f"0 to {images - 1}, so that some of the {images} images are left to train on"
        require(0 <= self.val_size < images, "data.val_size", self.val_size, right)
        if self.train_size is not None:
            left = images - self.val_size
            right = f"1 to {left} ({images} less data.val_size), or null for all of these"
            require(1 <= self.train_size <= left, "data.train_size", self.train_size, right)
        require(0 <= self.split_seed < 2**32, "data.split_seed", self.split_seed, f"0 to {2**32 - 1}")
        require(0 <= self.strokes < 1, "data.strokes", self.strokes, "0 to below 1")
        require(0 <= self.negatives < 1, "data.negatives", self.negatives, "0 to below 1")
        for key, per_batch in (("strokes", self.strokes_per_batch), ("negatives", self.negatives_per_batch)):
            share = getattr(self, key)
            right = f"0, or at least {1 / self.batch_size:.2g}, which is one image of a batch"
            require(share == 0 or per_batch >= 1, f"data.{key}", share, right)
        both, right = self.strokes + self.negatives, "less than 1, so that a batch has an image of MNIST as well"
        require(self.mnist_per_batch >= 1, "data.strokes+data.negatives", f"{both:.4g}", right)
        require(10 <= self.drawings <= 10_000_000, "data.drawings", self.drawings, "10 to 10000000")

    @property
    def strokes_per_batch(self) -> int:
        """Drawn digits in a mini-batch."""
        return round(self.strokes * self.batch_size)

    @property
    def negatives_per_batch(self) -> int:
        """Things that are no digits in a mini-batch."""
        return round(self.negatives * self.batch_size)

    @property
    def mnist_per_batch(self) -> int:
        """MNIST's images in a mini-batch."""
        return self.batch_size - self.strokes_per_batch - self.negatives_per_batch


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

    def __post_init__(self) -> None:
        """Check the ranges."""
        largest = {"rotation": 180, "shear": 2, "aspect": 2, "scale": 2, "shift": 14, "thickness": 1, "elastic": 14}
        for key, most in largest.items():
            value = getattr(self, key)
            require(0 <= value <= most, f"augment.{key}", value, f"0 to {most}")


@dataclass
class OptimizerConfig:
    """The optimizer; its name is that of its file in conf/optimizer/."""

    name: str
    learning_rate: float
    """The highest learning rate of the run; the schedule scales it."""
    weight_decay: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        rate, decay = self.learning_rate, self.weight_decay
        require(0 < rate < math.inf, "optimizer.learning_rate", rate, "above 0 and finite")
        require(0 <= decay < math.inf, "optimizer.weight_decay", decay, "0 or above and finite")


@dataclass
class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent, with Nesterov's momentum where momentum is above 0."""

    momentum: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "0 to below 1")


@dataclass
class ScheduleConfig:
    """How the learning rate changes from step to step; its name is that of its file in conf/schedule/."""

    name: str


@dataclass
class OneCycleConfig(ScheduleConfig):
    """Up in a straight line, then down along a cosine."""

    warmup: float
    """The share of the run that the way up takes."""

    def __post_init__(self) -> None:
        """Check the range."""
        require(0 < self.warmup < 1, "schedule.warmup", self.warmup, "above 0 and below 1")


@dataclass
class EarlyStoppingConfig:
    """When to stop before the last epoch."""

    patience: int | None
    """Epochs without a better validation accuracy before the run stops; null: never."""

    def __post_init__(self) -> None:
        """Check the range."""
        value = self.patience
        require(value is None or value >= 1, "trainer.early_stopping.patience", value, "1 or more, or null for off")


@dataclass
class TrainerConfig:
    """Where and how long to train."""

    accelerator: str
    """auto (a CUDA card where there is a usable one, else the CPU), cpu or gpu."""
    devices: Any
    """How many devices, or the list of the cards to use: `1` is the first card, `[1]` the second."""
    precision: str
    """Lightning's names: 32-true, bf16-mixed or 16-mixed."""
    max_epochs: int
    early_stopping: EarlyStoppingConfig

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_one_of("trainer.accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        require_one_of("trainer.precision", self.precision, ("32-true", "bf16-mixed", "16-mixed"))
        require(1 <= self.max_epochs <= 1_000_000, "trainer.max_epochs", self.max_epochs, "1 to 1000000")
        cards = self.devices if isinstance(self.devices, list) else []
        one_card = len(cards) == 1 and type(cards[0]) is int and cards[0] >= 0
        right = "1, or the number of one card in brackets, such as [1] (training uses one device)"
        require((self.devices == 1 and self.devices is not True) or one_card, "trainer.devices", self.devices, right)
        half_on_cpu = self.precision == "16-mixed" and self.accelerator == "cpu"
        require(not half_on_cpu, "trainer.precision", self.precision, "32-true or bf16-mixed on the CPU")


@dataclass
class TrainConfig:
    """One training run: conf/train.yaml."""

    model: ModelConfig
    data: DataConfig
    augment: AugmentConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    trainer: TrainerConfig
    seed: int
    """What the first weights and the order of the images are drawn by."""
    run_name: str | None
    """The name of the run's folder in outputs_dir/<model>/; null: date and time."""
    resume: str | None
    """A run's folder or checkpoint to go on from, or auto: the newest unfinished run."""
    outputs_dir: str

    def __post_init__(self) -> None:
        """Check the ranges, and the settings against each other."""
        require(0 <= self.seed < 2**32, "seed", self.seed, f"0 to {2**32 - 1}")
        name, right = self.run_name, "a folder's name without / or \\, not starting with a dot"
        plain = name is None or not (set("/\\") & set(name) or name.startswith(".") or name.strip() != name or not name)
        require(plain, "run_name", name, right)
        patience = self.trainer.early_stopping.patience
        possible = patience is None or self.data.val_size > 0
        require(
            possible, "trainer.early_stopping.patience", patience, "null where data.val_size=0: nothing to judge by"
        )


@dataclass
class EvaluateConfig:
    """A repeated test: conf/evaluate.yaml."""

    run: str | None
    """A run's folder; null: the newest finished run."""
    accelerator: str
    """auto, cpu or gpu, as in training."""
    outputs_dir: str

    def __post_init__(self) -> None:
        """Check the choice."""
        require_one_of("accelerator", self.accelerator, ("auto", "cpu", "gpu"))


NAMED: dict[str, dict[str, type[Any]]] = {
    "model": {"lenet5": ModelConfig, "sigmoid": SigmoidConfig},
    "augment": {"none": AugmentConfig, "light": DistortionConfig, "handwriting": DistortionConfig},
    "optimizer": {"adam": OptimizerConfig, "adamw": OptimizerConfig, "sgd": SGDConfig},
    "schedule": {"cosine": ScheduleConfig, "none": ScheduleConfig, "onecycle": OneCycleConfig},
}
"""Which settings a group has for each of its names; the same names as the files in conf/<group>/."""
