"""What conf/predict.yaml, score.yaml, draw.yaml, evaluate.yaml, compare.yaml and benchmark.yaml must fit."""

from dataclasses import dataclass
from typing import Annotated, Any

from digits.config.checks import NotEmpty, OneOf, Range, Settings

Accelerator = Annotated[str, OneOf("auto", "cpu", "gpu")]
Digits = Annotated[str, OneOf("auto", "one", "many")]
"""How many digits a picture has."""
Name = Annotated[str | None, NotEmpty("a name")]
Folder = Annotated[str | None, NotEmpty("a folder")]


class Pictures:
    """One name of pictures, or a list of such names."""

    def allows(self, value: object) -> bool:
        """Whether there is at least one, and none is empty."""
        names = value if isinstance(value, list) else [value]
        return bool(names) and all(isinstance(name, str | int | float) and name != "" for name in names)

    def __str__(self) -> str:
        return "a file, a folder, a pattern such as 'scans/*.png', or a list such as [a.png,b.png]"


@dataclass
class PredictConfig(Settings):
    """Pictures to read: conf/predict.yaml."""

    img: Annotated[Any, Pictures()]
    """A file (a picture, or an .npz of images), a folder, a pattern, or a list of these."""
    run: str | None
    """A run's folder, an .onnx file, or shipped; null: the newest finished run, or shipped where there is none."""
    digits: Digits
    reject: bool
    """Whether to answer `?` to non-digits."""
    explain: Name
    """The folder for pictures of the steps from each picture to 28x28; null: none."""
    annotate: Name
    """The file for the picture with boxes and answers; null: none."""
    format: Annotated[str, OneOf("table", "json", "csv")]
    out: Name
    """The file to write; null: the screen."""
    accelerator: Annotated[str, OneOf("cpu", "gpu")]
    """What the network computes on."""
    outputs_dir: str


@dataclass
class ScoreConfig(Settings):
    """Labelled pictures to be scored with: conf/score.yaml."""

    pictures: Annotated[str, NotEmpty("a folder of LABEL_n.png, or an .npz file with x and y")]
    """A folder of LABEL_n.ext, in it a folder for each writer; or an .npz file with x and y."""
    run: str | None
    """As for predict."""
    digits: Digits
    out: Folder
    """The folder for misread.png and score.json; null: score/ in outputs_dir."""
    outputs_dir: str


@dataclass
class DrawConfig(Settings):
    """The draw page: conf/draw.yaml."""

    run: str | None
    """The network that answers first: a run's folder, an .onnx file, or shipped; null: as for predict."""
    host: Annotated[str, NotEmpty("an address, such as 127.0.0.1")]
    """The address to listen on; 127.0.0.1 is for this machine alone, 0.0.0.0 for all that can reach it."""
    port: Annotated[int, Range(0, 65535, note="; 0 takes a free one")]
    open: bool
    """Whether to open the page in the browser."""
    own_digits: Folder
    """The folder to save drawings in; null: where train looks for them."""
    outputs_dir: str


@dataclass
class EvaluateConfig(Settings):
    """A repeated test: conf/evaluate.yaml."""

    run: str | None
    """A run's folder; null: the newest finished run."""
    accelerator: Accelerator
    """As in training."""
    weights: Folder
    """The folder for the weights as text files; null: none."""
    outputs_dir: str


@dataclass
class CompareConfig(Settings):
    """Experiments beside each other: conf/compare.yaml."""

    experiments: Annotated[list[str], NotEmpty("a list of at least one, none of them twice")]
    """Names of conf/experiment/, each with settings of its own behind it if there are some."""
    seeds: Annotated[list[int], NotEmpty("a list of at least one, none of them twice")]
    settings: list[str]
    """For all runs, as train.py takes them."""
    train: bool
    """Whether to make the runs that are not there."""
    pictures: Name
    """Labelled pictures, as score.py takes them, to read with each run; null: none."""
    out: Folder
    """The folder for the table and the picture; null: compare/ in outputs_dir."""
    outputs_dir: str


class Networks:
    """Networks that other projects' ways of training are there for."""

    def allows(self, names: list[str]) -> bool:
        """Whether there is at least one, all are known and none is there twice."""
        return bool(names) and len(set(names)) == len(names) and set(names) <= {"lenet5", "sigmoid"}

    def __str__(self) -> str:
        return "a list of lenet5, sigmoid or both, none of them twice"


@dataclass
class BenchmarkConfig(Settings):
    """What to measure: conf/benchmark.yaml."""

    what: Annotated[str, OneOf("train", "predict")]
    models: Annotated[list[str], Networks()]
    """The networks to train."""
    batch_size: Annotated[int, Range(1, 30_000)]
    """Images a mini-batch, in training."""
    rounds: Annotated[int, Range(1, 1000)]
    """How many are counted; in each, everyone has a turn."""
    accelerator: Accelerator
    out: Folder
    """The folder for table.md, figures.json and chart.png; null: benchmark/ in outputs_dir."""
    outputs_dir: str
    data_dir: Annotated[str, NotEmpty("a folder")]
    """The cache folder, where MNIST is unpacked."""
