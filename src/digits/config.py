"""What conf/ must fit: the type, the range and the meaning of every setting. The values are in conf/, not here."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from digits.data.config import MOST_AT_ONCE, AugmentConfig, DataConfig, DistortionConfig
from digits.errors import require, require_one_of
from digits.models.config import (
    AdamConfig,
    LBFGSConfig,
    LossConfig,
    MLPConfig,
    ModelConfig,
    OneCycleConfig,
    OptimizerConfig,
    ScheduleConfig,
    SGDConfig,
)

ROOT = Path(__file__).parents[2]
"""The project's folder."""

WITHOUT_INFLUENCE = (
    "data.chunk_size",
    "data.dir",
    "outputs_dir",
    "resume",
    "run_name",
    "trainer.checkpoint_every",
    "trainer.devices",
    "trainer.max_time",
    "trainer.num_nodes",
    "trainer.strategy",  # but for rounding
)
"""Settings that do not change the result of a run."""


def project_path(path: str) -> Path:
    """Give a folder that is relative to the project's, so that commands do the same from any working directory."""
    return ROOT / Path(path).expanduser()


def seconds(duration: str) -> int:
    """Give what [[days:]hours:]minutes:seconds are in seconds."""
    units = (1, 60, 3600, 86_400)
    return sum(unit * int(number) for unit, number in zip(units, reversed(duration.split(":")), strict=False))


def check_folder_name(name: str | None) -> None:
    """Check a run's name.

    Raises:
        UserError: if it cannot be a folder's.
    """
    right = "a folder's name without / or \\, not starting with a dot"
    plain = name is None or not (set("/\\") & set(name) or name.startswith(".") or name.strip() != name or not name)
    require(plain, "run_name", name, right)


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
    """Lightning's names: 32-true, bf16-mixed or 16-mixed; auto: 32-true, but bf16-mixed on a CPU that is faster so."""
    max_epochs: int
    early_stopping: EarlyStoppingConfig
    checkpoint_every: float
    """Seconds between two checkpoints; the end of each epoch is kept as well."""
    strategy: str
    """auto: one process; ddp: as many as torchrun or SLURM started, which share each mini-batch."""
    num_nodes: int
    """The machines that these are on, as many on each."""
    max_time: str | None
    """How long training may take, [[days:]hours:]minutes:seconds; then it stops so that it can go on. null: any."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_one_of("trainer.accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        require_one_of("trainer.strategy", self.strategy, ("auto", "ddp"))
        require(1 <= self.num_nodes <= 10_000, "trainer.num_nodes", self.num_nodes, "1 to 10000")
        alone = self.strategy == "ddp" or self.num_nodes == 1
        require(alone, "trainer.num_nodes", self.num_nodes, "1 without trainer=ddp")
        require_one_of("trainer.precision", self.precision, ("auto", "32-true", "bf16-mixed", "16-mixed"))
        require(1 <= self.max_epochs <= 1_000_000, "trainer.max_epochs", self.max_epochs, "1 to 1000000")
        cards = self.devices if isinstance(self.devices, list) else []
        one_card = len(cards) == 1 and type(cards[0]) is int and cards[0] >= 0
        right = "1, or the number of one card in brackets, such as [1] (training uses one device)"
        every = self.checkpoint_every
        require(0 <= every <= 86_400, "trainer.checkpoint_every", every, "0 (after each chunk) to 86400 seconds")
        require(
            self.max_time is None or re.fullmatch(r"(\d{1,3}:){1,3}\d{1,3}", self.max_time) is not None,
            "trainer.max_time",
            self.max_time,
            "days:hours:minutes:seconds, without days, or without hours, such as 01:30:00, or null",
        )
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
    loss: LossConfig
    teacher: str | None
    """The network whose answers it learns beside the labels: the folder of a run or an ensemble, an .onnx file, or
    shipped."""
    seed: int
    """What the first weights and the order of the images are drawn by."""
    members: int
    """Networks that are trained at once, as one batched network, the second with the seed after `seed`, and so on; what
    the run keeps is their mean. Each learns as it would alone."""
    run_name: str | None
    """The name of the run's folder in outputs_dir/<model>/; null: date and time."""
    resume: str | None
    """A run's folder or checkpoint to go on from, or auto: the newest unfinished run."""
    start_from: str | None
    """The network whose weights a new run starts with: a run's folder, an .onnx file, shipped, or auto (the newest
    finished run, or shipped where there is none); it also says what `model` is. null: weights drawn by the seed."""
    outputs_dir: str

    def __post_init__(self) -> None:
        """Check the ranges, and the settings against each other; make the path good for any working directory."""
        right = "a run's folder, an .onnx file, shipped, auto, or null for new weights"
        require(self.start_from != "", "start_from", "", right)
        if self.start_from not in (None, "auto", "shipped"):
            self.start_from = str(Path(self.start_from).expanduser().resolve())
        require(0 <= self.seed < 2**32, "seed", self.seed, f"0 to {2**32 - 1}")
        check_folder_name(self.run_name)
        patience = self.trainer.early_stopping.patience
        possible = patience is None or self.data.val_size > 0
        require(
            possible, "trainer.early_stopping.patience", patience, "null where data.val_size=0: nothing to judge by"
        )
        if self.teacher not in (None, "shipped"):
            require(self.teacher != "", "teacher", "", "a run's folder, an .onnx file, shipped, or null for none")
            self.teacher = str(Path(self.teacher or "").expanduser().resolve())
        self._check_loss()
        self._check_members()
        self._check_processes()
        exact = not isinstance(self.optimizer, LBFGSConfig) or self.trainer.precision in ("auto", "32-true")
        require(exact, "trainer.precision", self.trainer.precision, "32-true with L-BFGS, whose line search is exact")

    @property
    def seeds(self) -> range:
        """Those of the members."""
        return range(self.seed, self.seed + self.members)

    def _check_loss(self) -> None:
        """Check what is asked beside the labels against the network and the images."""
        smoothing, model, augment = self.loss.label_smoothing, self.model, self.augment
        plain = not isinstance(model, MLPConfig) or (model.output, model.loss) == ("softmax", "cross_entropy")
        right = "0 unless model.output=softmax and model.loss=cross_entropy; see model.targets"
        require(plain or not smoothing, "loss.label_smoothing", smoothing, right)
        anew = isinstance(augment, DistortionConfig) and augment.versions is None
        right = "a number such as 20 where there is a teacher, which is asked about images that stay the same"
        require(self.teacher is None or not anew, "augment.versions", "null", right)

    def _shared_out(self) -> dict[str, tuple[Any, bool]]:
        """Give what matters where networks or processes share a mini-batch out: its value, and if it fits."""
        data = self.data
        return {
            "data.batch_size": (data.batch_size, data.batch_size is not None and data.batch_size <= MOST_AT_ONCE),
            "data.mine_share": (data.mine_share, not data.mine_share),
            "data.mixup": (data.mixup, not data.mixup),
            "data.negatives": (data.negatives, not data.negatives),
            "model.dropout": (self.model.dropout, not self.model.dropout),
            "optimizer": (self.optimizer.name, not isinstance(self.optimizer, LBFGSConfig)),
        }

    def _check_members(self) -> None:
        """Check that nothing is asked for that several networks at once cannot have."""
        model = self.model
        require(1 <= self.members <= 100, "members", self.members, "1 to 100")
        apart = {
            **self._shared_out(),
            "model.loss": (getattr(model, "loss", None), getattr(model, "loss", None) in (None, "cross_entropy")),
            "model.l2": (getattr(model, "l2", 0), not getattr(model, "l2", 0)),
            "model.output": (getattr(model, "output", None), getattr(model, "output", None) in (None, "softmax")),
            "start_from": (self.start_from, self.start_from is None),
        }
        for key, (value, fit) in apart.items():
            require(self.members == 1 or fit, "members", self.members, f"1 with {key}={value}")
        require(self.seeds[-1] < 2**32, "members", self.members, f"at most {2**32 - self.seed} with seed={self.seed}")

    def _check_processes(self) -> None:
        """Check that nothing is asked for that processes which share each mini-batch cannot have."""
        shared = {
            **self._shared_out(),
            "data.hardest": (self.data.hardest, self.data.hardest == 1),
            "members": (self.members, self.members == 1),
        }
        for key, (value, fit) in shared.items():
            require(self.trainer.strategy == "auto" or fit, "trainer.strategy", "ddp", f"auto with {key}={value}")


def result_settings(settings: TrainConfig) -> dict[str, Any]:
    """Give the settings that shape the result, by dotted keys; HParams has a column for each."""
    flat = _flat(asdict(settings))
    if settings.optimizer.ema is not None:
        flat["data.chunk_size"] = settings.data.chunk_size  # an average moves once a chunk
    return flat


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif prefix + key not in WITHOUT_INFLUENCE:
            flat[prefix + key] = value
    return flat


@dataclass
class EvaluateConfig:
    """A repeated test: conf/evaluate.yaml."""

    run: str | None
    """A run's folder; null: the newest finished run."""
    accelerator: str
    """auto, cpu or gpu, as in training."""
    weights: str | None
    """The folder for the weights as text files; null: none."""
    outputs_dir: str

    def __post_init__(self) -> None:
        """Check the choice."""
        require(self.weights != "", "weights", "", "a folder, or null for none")
        require_one_of("accelerator", self.accelerator, ("auto", "cpu", "gpu"))


@dataclass
class EnsembleConfig:
    """Several runs as one network: conf/ensemble.yaml."""

    runs: list[str]
    """The folders of finished runs."""
    run_name: str | None
    """The name of the folder in outputs_dir/ensemble/; null: date and time."""
    outputs_dir: str

    def __post_init__(self) -> None:
        """Check that there is something to put together."""
        fit = 2 <= len(self.runs) <= 100 and len(set(self.runs)) == len(self.runs) and all(self.runs)
        require(fit, "runs", self.runs, "a list of 2 to 100 folders of runs, none of them twice")
        check_folder_name(self.run_name)


@dataclass
class CompareConfig:
    """Experiments beside each other: conf/compare.yaml."""

    experiments: list[str]
    """Names of conf/experiment/, each with settings of its own behind it if there are some."""
    seeds: list[int]
    settings: list[str]
    """For all runs, as train.py takes them."""
    train: bool
    """Whether to make the runs that are not there."""
    pictures: str | None
    """Labelled pictures, as score.py takes them, to read with each run; null: none."""
    out: str | None
    """The folder for the table and the picture; null: compare/ in outputs_dir."""
    outputs_dir: str

    def __post_init__(self) -> None:
        """Check that there is something to compare."""
        for key in ("experiments", "seeds"):
            values = getattr(self, key)
            fit = bool(values) and len(set(values)) == len(values) and all(str(one).strip() for one in values)
            require(fit, key, values, "a list of at least one, none of them twice")
        for key in ("pictures", "out"):
            require(getattr(self, key) != "", key, "", "a name, or null for none")


NAMED: dict[str, dict[str, type[Any]]] = {
    "model": {"convnet": ModelConfig, "lenet5": ModelConfig, "mlp": MLPConfig, "sigmoid": MLPConfig},
    "augment": {
        "none": AugmentConfig,
        "light": DistortionConfig,
        "handwriting": DistortionConfig,
        "record": DistortionConfig,
    },
    "optimizer": {"adam": AdamConfig, "adamw": AdamConfig, "lbfgs": LBFGSConfig, "sgd": SGDConfig},
    "schedule": {"cosine": ScheduleConfig, "none": ScheduleConfig, "onecycle": OneCycleConfig},
}
"""Which settings a group has for each of its names; the same names as the files in conf/<group>/."""
