"""What conf/predict.yaml, score.yaml, draw.yaml, evaluate.yaml, compare.yaml and benchmark.yaml must fit."""

from dataclasses import dataclass
from typing import Annotated, Any

from digits.config.checks import OutputsDir, Rule, Settings, between, distinct, not_empty, one_of

Accelerator = Annotated[str, one_of("auto", "cpu", "gpu")]
Digits = Annotated[str, one_of("auto", "one")]
"""How many digits a picture has."""
Run = Annotated[str | None, not_empty("a run's folder or an .onnx file")]
"""The network to read with."""
Name = Annotated[str | None, not_empty("a name")]
Folder = Annotated[str | None, not_empty("a folder")]


PICTURES = Rule(
    lambda value: bool(value) and "" not in (value if isinstance(value, list) else [value]),
    "a file, a folder, a pattern such as 'scans/*.png', or a list such as [a.png,b.png]",
)

AT_LEAST_ONE = distinct("a list of at least one, none of them twice", lambda value: bool(str(value).strip()))


@dataclass
class PredictConfig(Settings):
    """Pictures to read: conf/predict.yaml."""

    img: Annotated[Any, PICTURES]
    run: Run
    pages: Run
    digits: Digits
    rotate: Annotated[str, one_of("auto", "0", "90", "180", "270")]
    reject: bool
    explain: Name
    annotate: Name
    format: Annotated[str, one_of("table", "json", "csv")]
    out: Name
    accelerator: Annotated[str, one_of("cpu", "gpu")]
    outputs_dir: OutputsDir


@dataclass
class ScoreConfig(Settings):
    """Labelled pictures to be scored with: conf/score.yaml."""

    pictures: Annotated[str, not_empty("a folder of LABEL_n.png, or an .npz file with x and y")]
    run: Run
    pages: Run
    digits: Digits
    outputs_dir: OutputsDir


@dataclass
class DrawConfig(Settings):
    """The draw page: conf/draw.yaml."""

    run: Run
    host: Annotated[str, not_empty("an address, such as 127.0.0.1")]
    port: Annotated[int, between(0, 65535, note="; 0 takes a free one")]
    open: bool
    own_digits: Folder
    outputs_dir: OutputsDir


@dataclass
class EvaluateConfig(Settings):
    """A repeated test: conf/evaluate.yaml."""

    run: Folder
    accelerator: Accelerator
    weights: Folder
    outputs_dir: OutputsDir


@dataclass
class CompareConfig(Settings):
    """Experiments beside each other: conf/compare.yaml."""

    experiments: Annotated[list[str], AT_LEAST_ONE]
    seeds: Annotated[list[int], AT_LEAST_ONE]
    settings: list[str]
    pictures: Name
    outputs_dir: OutputsDir


NETWORKS = distinct("a list of lenet5, sigmoid or both, none of them twice", {"lenet5", "sigmoid"}.__contains__)


@dataclass
class BenchmarkConfig(Settings):
    """What to measure: conf/benchmark.yaml."""

    what: Annotated[str | None, one_of("train", "predict", "all")]
    models: Annotated[list[str], NETWORKS]
    batch_sizes: Annotated[list[int] | None, distinct("some of 1 to 30000, each once", range(1, 30_001).__contains__)]
    rounds: Annotated[int, between(1, 1000)]
    accelerator: Accelerator
    outputs_dir: OutputsDir
    data_dir: Annotated[str, not_empty("a folder")]
