"""What conf/train.yaml and conf/trainer/ must fit, and which settings a group has for each of its names."""

import os
import re
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from digits.config.checks import OutputsDir, Rule, Settings, between, not_empty, one_of, pattern
from digits.config.data import AugmentConfig, DataConfig, DistortionConfig, MNISTConfig, PagesConfig
from digits.config.model import (
    AdamConfig,
    LBFGSConfig,
    MLPConfig,
    ModelConfig,
    OptimizerConfig,
    ScheduleConfig,
    SGDConfig,
)
from digits.errors import UserError, as_yaml, require
from digits.files import resolved
from digits.runs import PAGES

WITHOUT_INFLUENCE = (
    "data.chunk_size",
    "data.dir",
    "outputs_dir",
    "resume",
    "run_name",
    "trainer.capture",  # but for rounding
    "trainer.max_time",
    "trainer.strategy",  # but for rounding
)
"""Settings that do not change the result of a run."""

MAX_SEED = 2**32 - 1

FOLDER_NAME = Rule(
    lambda name: re.fullmatch(r"(?![.\s])[^/\\]*[^/\\\s]", name) is not None and len(os.fsencode(name)) <= 255,
    "a folder's name without / or \\, not starting with a dot, of at most 255 bytes",
)

DURATION = pattern(
    r"(\d{1,3}:){1,3}\d{1,3}", "days:hours:minutes:seconds, without days, or without hours, such as 01:30:00"
)


@dataclass
class EarlyStoppingConfig(Settings, prefix="trainer.early_stopping."):
    """When to stop before the last epoch."""

    patience: Annotated[int | None, between(1)]


@dataclass
class TrainerConfig(Settings, prefix="trainer."):
    """Where and how long to train."""

    accelerator: Annotated[str, one_of("auto", "cpu", "gpu")]
    precision: Annotated[str, one_of("32-true", "bf16-mixed", "16-mixed")]
    capture: Annotated[bool | str, Rule(("auto", False).__contains__, "auto or false")]
    max_epochs: Annotated[int, between(1, 1_000_000)]
    early_stopping: EarlyStoppingConfig
    strategy: Annotated[str, one_of("auto", "ddp")]
    max_time: Annotated[str | None, DURATION]

    def __post_init__(self) -> None:
        """Check the settings against each other."""
        super().__post_init__()
        self.check_device(self.accelerator)

    def check_device(self, accelerator: str) -> None:
        """Check that a device, by its name or Lightning's, can compute with this precision."""
        half_on_cpu = self.precision == "16-mixed" and accelerator == "cpu"
        require(not half_on_cpu, "trainer.precision", self.precision, "32-true or bf16-mixed on the CPU")


@dataclass
class TrainConfig(Settings):
    """One training run: conf/train.yaml."""

    model: ModelConfig
    data: DataConfig
    augment: AugmentConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    trainer: TrainerConfig
    seed: Annotated[int, between(0, MAX_SEED)]
    run_name: Annotated[str | None, FOLDER_NAME]
    resume: str | None
    start_from: Annotated[str | None, not_empty("a run's folder, an .onnx file, shipped or auto")]
    outputs_dir: OutputsDir

    def __post_init__(self) -> None:
        """Check the settings against each other, and make the path good for any working directory."""
        super().__post_init__()
        if self.start_from not in (None, "auto", "shipped"):
            self.start_from = str(resolved(self.start_from))
        patience = self.trainer.early_stopping.patience
        expected = "null where data.val_size=0: nothing to judge by"
        require(patience is None or self.data.val_size > 0, "trainer.early_stopping.patience", patience, expected)
        fit = (self.model.name == PAGES) == isinstance(self.data, PagesConfig)
        require(fit, "data.name", self.data.name, "pages with model=pages, and mnist with every other network")
        if isinstance(self.data, PagesConfig):
            self._check_pages()
        exact = not isinstance(self.optimizer, LBFGSConfig) or self.trainer.precision == "32-true"
        require(exact, "trainer.precision", self.trainer.precision, "32-true with L-BFGS, whose line search is exact")
        if self.trainer.strategy == "ddp":
            self._check_processes()

    def _check_pages(self) -> None:
        """Check that nothing is asked for that is for images of one digit."""
        possible = {
            "augment": (self.augment.name, not isinstance(self.augment, DistortionConfig)),
            "optimizer": (self.optimizer.name, not isinstance(self.optimizer, LBFGSConfig)),
            "start_from": (self.start_from, self.start_from is None),
        }
        for key, (value, fit) in possible.items():
            require(fit, "model", PAGES, f"another network with {key}={value}")

    def _check_processes(self) -> None:
        """Check that nothing is asked for that processes which share each mini-batch cannot have."""
        data = self.data
        if not isinstance(data, MNISTConfig):
            raise UserError(f"trainer.strategy=ddp: must be auto with data={data.name}")
        possible = {
            "data.batch_size": (data.batch_size, data.batch_size is not None),
            "data.hard_example_fraction": (data.hard_example_fraction, data.hard_example_fraction == 1),
            "data.negative_fraction": (data.negative_fraction, not data.negative_fraction),
            "data.own_fraction": (data.own_fraction, not data.own_fraction),
            "optimizer": (self.optimizer.name, not isinstance(self.optimizer, LBFGSConfig)),
        }
        for key, (value, fit) in possible.items():
            require(fit, "trainer.strategy", "ddp", f"auto with {key}={as_yaml(value)}")


def result_settings(settings: TrainConfig) -> dict[str, Any]:
    """Return the settings that shape the result, by dotted keys; HParams has a column for each."""
    return {key: value for key, value in _flat(asdict(settings)).items() if key not in WITHOUT_INFLUENCE}


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


GROUPS: dict[str, dict[str, type[Any]]] = {
    "model": {
        "convnet": ModelConfig,
        "lenet5": ModelConfig,
        "mlp": MLPConfig,
        "pages": ModelConfig,
        "sigmoid": MLPConfig,
    },
    "data": {"mnist": MNISTConfig, "pages": PagesConfig},
    "augment": {
        "none": AugmentConfig,
        "light": DistortionConfig,
        "handwriting": DistortionConfig,
        "record": DistortionConfig,
    },
    "optimizer": {"adam": AdamConfig, "adamw": AdamConfig, "lbfgs": LBFGSConfig, "sgd": SGDConfig},
    "schedule": {"cosine": ScheduleConfig, "none": ScheduleConfig, "onecycle": ScheduleConfig},
}
"""Which settings a group has for each of its names; the same names as the files in conf/<group>/."""
