"""What conf/benchmark.yaml must fit."""

from dataclasses import dataclass

from digits.errors import require, require_one_of


@dataclass
class BenchmarkConfig:
    """What to measure: conf/benchmark.yaml."""

    what: str
    """train, predict or start."""
    models: list[str]
    """The networks to train, of lenet5 and sigmoid."""
    batch_size: int
    """Images a mini-batch, in training."""
    rounds: int
    """How many are counted; in each, everyone has a turn."""
    accelerator: str
    """auto, cpu or gpu."""
    out: str | None
    """The folder for table.md, figures.json and chart.png; null: benchmark/ in outputs_dir."""
    outputs_dir: str
    data_dir: str
    """The cache folder, where MNIST is unpacked."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_one_of("what", self.what, ("train", "predict", "start"))
        fit = bool(self.models) and len(set(self.models)) == len(self.models)
        require(fit, "models", self.models, "a list of lenet5, sigmoid or both, none of them twice")
        for model in self.models:
            require_one_of("models", model, ("lenet5", "sigmoid"))
        require(1 <= self.batch_size <= 30_000, "batch_size", self.batch_size, "1 to 30000")
        require(1 <= self.rounds <= 1000, "rounds", self.rounds, "1 to 1000")
        require_one_of("accelerator", self.accelerator, ("auto", "cpu", "gpu"))
        require(self.out != "", "out", "", "a folder, or null for benchmark/ in outputs_dir")
        require(self.data_dir != "", "data_dir", "", "a folder")
