"""What conf/predict.yaml and conf/score.yaml must fit."""

from dataclasses import dataclass
from typing import Any

from digits.errors import require, require_one_of

DIGITS = ("auto", "one", "many")
"""How many digits a picture may be said to have."""


@dataclass
class PredictConfig:
    """Pictures to read: conf/predict.yaml."""

    img: Any
    """A file (a picture, or an .npz of images), a folder, a pattern, or a list of these."""
    run: str | None
    """A run's folder, an .onnx file, or shipped; null: the newest finished run, or shipped where there is none."""
    digits: str
    """How many digits a picture has: one, many, or auto."""
    reject: bool
    """Whether to answer `?` to what is no digit."""
    explain: str | None
    """The folder for pictures of the steps from each picture to 28x28; null: none."""
    annotate: str | None
    """The file for the picture with boxes and answers; null: none."""
    format: str
    """table, json or csv."""
    out: str | None
    """The file to write; null: the screen."""
    accelerator: str
    """cpu or gpu: what the network computes on."""
    outputs_dir: str

    def __post_init__(self) -> None:
        """Check the choices."""
        pictures = self.img if isinstance(self.img, list) else [self.img]
        right = "a file, a folder, a pattern such as 'scans/*.png', or a list such as [a.png,b.png]"
        require(
            bool(pictures) and all(isinstance(one, str | int | float) and one != "" for one in pictures),
            "img",
            self.img,
            right,
        )
        for key in ("explain", "annotate", "out"):
            require(getattr(self, key) != "", key, "", "a name, or null for none")
        require_one_of("digits", self.digits, DIGITS)
        require_one_of("format", self.format, ("table", "json", "csv"))
        require_one_of("accelerator", self.accelerator, ("cpu", "gpu"))


@dataclass
class ScoreConfig:
    """Labelled pictures to be scored with: conf/score.yaml."""

    pictures: str
    """A folder of LABEL_n.ext, in it a folder for each writer; or an .npz file with x and y."""
    run: str | None
    """As for predict."""
    digits: str
    """How many digits a picture has: one, many, or auto."""
    out: str | None
    """The folder for misread.png and score.json; null: score/ in outputs_dir."""
    outputs_dir: str

    def __post_init__(self) -> None:
        """Check the choices."""
        require(self.pictures != "", "pictures", "", "a folder of LABEL_n.png, or an .npz file with x and y")
        require(self.out != "", "out", "", "a folder, or null for score/ in outputs_dir")
        require_one_of("digits", self.digits, DIGITS)
