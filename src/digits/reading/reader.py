"""Open a model.onnx and compute probabilities with it."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digits import runs
from digits.errors import UserError
from digits.reading import onnxfile

SHIPPED = Path(__file__).with_name("shipped.onnx")
"""The network that comes with the project: `python src/train.py experiment=shipped` made it."""

MAX_MODEL = 256 * 2**20
"""Bytes; ours have some MB at most, so a larger file is something else."""

CPU, GPU = "CPUExecutionProvider", "CUDAExecutionProvider"
"""ONNX Runtime's names for the processor and an NVIDIA GPU."""

CLASSES = 10

TOGETHER = {"cpu": 128, "gpu": 16384}
"""Images a call: so few that LeNet-5's maps stay in a processor's cache, so many that a GPU is busy."""

MAX_MEMORY = 2 * 2**30
"""Bytes, of what all networks compute on the processor, so that a stranger's cannot fill the memory."""


class Reader:
    """A model.onnx, ready to read; it holds no code, and no weights in other files are loaded.

    Args:
        path: the file.
        accelerator: cpu, or gpu for an NVIDIA GPU.
        threads: to compute with; 0 for as many as there are cores.

    Raises:
        UserError: if the file is not there or is not a network from 28x28 images to ten probabilities, or ONNX Runtime
            finds no usable GPU.
    """

    def __init__(self, path: Path, accelerator: str = "cpu", threads: int = 0) -> None:
        self.path = path
        try:
            if path.stat().st_size > MAX_MODEL:
                raise UserError(
                    f"run={path}: has {path.stat().st_size} bytes; a model.onnx of this project is far smaller"
                )
            content = path.read_bytes()
        except OSError as error:
            raise UserError(
                f"run={path}: cannot be read ({error.strerror}); give a run's folder or an .onnx file"
            ) from error
        onnxfile.check(content, f"run={path}")
        providers = _providers(accelerator)
        onnxruntime.set_default_logger_severity(4)  # what it would print, the error below says in a line
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        _bound_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
        try:
            fallback = accelerator == "gpu"  # for the processor there is none, which it would print
            self.session = onnxruntime.InferenceSession(content, options, providers=providers, enable_fallback=fallback)
            self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
            parts = [*self.session.get_inputs(), *self.session.get_outputs()]
            signature = [(part.name, part.type, part.shape[1:]) for part in parts]
        except Exception as error:  # onnxruntime's errors have no common class
            raise UserError(
                f"run={path}: not an ONNX file that can be run; give a run's folder or its model.onnx"
            ) from error
        if self.session.get_providers()[0] != providers[0]:  # it goes on without a GPU, and says nothing
            raise UserError("accelerator=gpu: ONNX Runtime finds no usable NVIDIA GPU; look at nvidia-smi, or use cpu")
        self.at_once = TOGETHER[accelerator]
        ours = [("image", "tensor(float)", [1, 28, 28]), ("probabilities", "tensor(float)", [10])]
        if signature != ours:
            parts_there = ", ".join(f"{name} {shape}" for name, _, shape in signature)
            expected = "image [N, 1, 28, 28] to probabilities [N, 10]"
            raise UserError(f"run={path}: is another kind of network (N x {parts_there}); this needs {expected}")

    @property
    def title(self) -> str:
        """The network's name for people."""
        return "the shipped network" if self.path == SHIPPED else str(self.path)

    @property
    def threshold(self) -> float:
        """The probability of the likeliest digit below which a picture is a non-digit, as validation found it."""
        text = self.metadata.get("val/reject_below", "0")
        try:
            return float(text)
        except ValueError as error:
            raise UserError(f"run={self.path}: says val/reject_below={text}; must be a number") from error

    def probabilities(self, images: NDArray[np.float32] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities, float32 [N, 10], of images, bright ink on black.

        Args:
            images: [N, 28, 28], float32 in [0, 1], or uint8.
        """
        probabilities = np.empty((len(images), CLASSES), dtype=np.float32)
        for start in range(0, len(images), self.at_once):
            batch: NDArray[Any] = images[start : start + self.at_once, None]
            if batch.dtype == np.uint8:
                batch = batch * np.float32(1 / 255)
            probabilities[start : start + self.at_once] = self._computed(batch)
        return probabilities

    def _computed(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            outputs: list[NDArray[np.float32]] = self.session.run(["probabilities"], {"image": images})
        except Exception as error:  # onnxruntime's errors have no common class
            message = " ".join(str(error).split())
            reason = f"takes more than {MAX_MEMORY} bytes of memory" if "arena" in message else message[:200]
            raise UserError(f"run={self.path}: cannot be computed ({reason}); give another network") from error
        (probabilities,) = outputs
        if probabilities.shape != (len(images), CLASSES):
            shape = list(probabilities.shape)
            raise UserError(f"run={self.path}: gives {shape} for {len(images)} images; must give [N, {CLASSES}]")
        return probabilities


@cache
def _bound_memory() -> None:
    """Bound what ONNX Runtime takes, for the whole process."""
    kinds = (onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT)
    bound = onnxruntime.OrtArenaCfg({"max_mem": MAX_MEMORY})
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", *kinds), bound)


def _providers(accelerator: str) -> list[str]:
    if accelerator == "cpu":
        return [CPU]
    if GPU not in onnxruntime.get_available_providers():
        expected = "install onnxruntime-gpu in the place of onnxruntime, or use cpu"
        raise UserError(f"accelerator=gpu: this ONNX Runtime is built for the CPU alone; {expected}")
    if hasattr(onnxruntime, "preload_dlls"):  # finds the libraries that came with torch's CUDA build
        onnxruntime.preload_dlls()
    return [GPU, CPU]


def find_model(run: str | None, outputs_dir: str) -> Path:
    """Return the model.onnx to read with.

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
