"""The reading side of the door: open a model.onnx and ask it for probabilities."""

from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digits import runs
from digits.errors import UserError

SHIPPED = Path(__file__).with_name("shipped.onnx")
"""The network that comes with the project: `python src/train.py experiment=shipped` made it."""

LARGEST_MODEL = 256 * 2**20
"""Bytes; ours have under 1 MB, so a larger file is something else."""

EXTERNAL_DATA_KEY = b"\x0a\x08location"
"""How a tensor begins to say that its values are in another file (onnx.proto, TensorProto.external_data)."""


class Reader:
    """A model.onnx, ready to read; it holds no code, and no weights in other files are loaded.

    Args:
        path: the file.

    Raises:
        UserError: if the file is not there or is not a network from 28x28 images to ten probabilities.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.stat().st_size > LARGEST_MODEL:
                raise UserError(
                    f"run={path}: has {path.stat().st_size} bytes; a model.onnx of this project is far smaller"
                )
            content = path.read_bytes()
        except OSError as error:
            raise UserError(
                f"run={path}: cannot be read ({error.strerror}); give a run's folder or an .onnx file"
            ) from error
        if EXTERNAL_DATA_KEY in content:
            raise UserError(f"run={path}: keeps its weights in another file; give a model.onnx that holds them itself")
        onnxruntime.set_default_logger_severity(4)  # what it would print, the error below says in a line
        try:
            self.session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common class
            raise UserError(
                f"run={path}: not an ONNX file that can be run; give a run's folder or its model.onnx"
            ) from error
        self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
        signature = [
            (one.name, one.type, one.shape[1:]) for one in self.session.get_inputs() + self.session.get_outputs()
        ]
        ours = [("image", "tensor(float)", [1, 28, 28]), ("probabilities", "tensor(float)", [10])]
        if signature != ours:
            found = ", ".join(f"{name} {shape}" for name, _, shape in signature)
            right = "image [N, 1, 28, 28] to probabilities [N, 10]"
            raise UserError(f"run={path}: is another kind of network (N x {found}); this needs {right}")

    @property
    def title(self) -> str:
        """What predict and score say that they read with."""
        return "the shipped network" if self.path == SHIPPED else str(self.path)

    @property
    def threshold(self) -> float:
        """The probability of the likeliest digit below which a picture is no digit, as validation found it."""
        text = self.metadata.get("val/reject_below", "0")
        try:
            return float(text)
        except ValueError as error:
            raise UserError(f"run={self.path}: says val/reject_below={text}; must be a number") from error

    def probabilities(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the probabilities, float32 [N, 10], of images, float32 [N, 28, 28] in [0, 1], bright ink on black."""
        (probabilities,) = self.session.run(["probabilities"], {"image": images[:, None]})
        return cast(NDArray[np.float32], probabilities)


def find_model(run: str | None, outputs_dir: str) -> Path:
    """Give the model.onnx to read with.

    Args:
        run: a run's folder, an .onnx file, or `shipped`; None for the newest finished run, or the shipped network
            where there is none yet.
        outputs_dir: where the runs are.

    Raises:
        UserError: if there is no such run, or it never finished.
    """
    if run is None:
        newest = runs.newest_finished(outputs_dir)
        return SHIPPED if newest is None else newest / runs.MODEL_FILE
    if run == "shipped":
        return SHIPPED
    path = Path(run).expanduser()
    if not path.is_dir():
        return path
    if not (path / runs.MODEL_FILE).exists():
        raise UserError(f"run={run}: has no {runs.MODEL_FILE}, so it never finished; go on with train.py resume={run}")
    return path / runs.MODEL_FILE
