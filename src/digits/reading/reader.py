"""Open a model.onnx and compute probabilities with it."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digits import runs
from digits.config.model import CLASSES
from digits.errors import UserError
from digits.files import expanded
from digits.reading import onnxfile

SHIPPED = Path(__file__).with_name("shipped.onnx")
"""The network that comes with the project: `python src/train.py experiment=shipped` made it."""

SHIPPED_BESIDE = tuple(SHIPPED.with_name(f"shipped_{seed}.onnx") for seed in (2, 3))
"""The same of other seeds, which are asked with it."""

SHIPPED_PAGES = Path(__file__).with_name("pages.onnx")
"""The page network, likewise: `python src/train.py model=pages`."""

Signature = tuple[tuple[str, tuple[int | str, ...]], ...]
"""Names, and shapes without the first dimension; text stands for any length."""

MAX_MODEL = 256 * 2**20
"""Bytes; ours have some MB at most, so a larger file is something else."""

CPU, GPU = "CPUExecutionProvider", "CUDAExecutionProvider"
"""ONNX Runtime's names for the processor and an NVIDIA GPU."""

ROUNDING = 1e-3
"""How far the sum of probabilities may be above 1."""

TOGETHER = {"cpu": 128, "gpu": 16384}
"""Images a call: so few that LeNet-5's maps stay in a processor's cache, so many that a GPU is busy."""

AT_A_TIME, REACH = 1024, 192
"""Pixels of a picture's longer side that the page network computes at most at a time, and how far it sees, both
multiples of 32: of a part that has so many more on each side it says, to the bit, what it says of the whole picture."""

MAX_MEMORY = 2 * 2**30
"""Bytes, of what all networks compute on the processor, so that a stranger's cannot fill the memory."""


class Network:
    """An .onnx file, ready to compute with; it holds no code, and no weights in other files are loaded.

    Args:
        path: the file.
        setting: what names it, for errors.
        signature: the name and the shape behind N of its input and outputs; text stands for any length.
        accelerator: cpu, or gpu for an NVIDIA GPU.
        threads: to compute with; 0 for as many as there are cores.

    Raises:
        UserError: if the file is not there or is not such a network, or ONNX Runtime finds no usable GPU.
    """

    def __init__(
        self, path: Path, setting: str, signature: Signature, accelerator: str = "cpu", threads: int = 0
    ) -> None:
        self.path = path
        self.what = f"{setting}={path}"
        try:
            if path.stat().st_size > MAX_MODEL:
                raise UserError(
                    f"{self.what}: has {path.stat().st_size} bytes; a model.onnx of this project is far smaller"
                )
            content = path.read_bytes()
        except OSError as error:
            expected = "give a run's folder or an .onnx file"
            raise UserError(f"{self.what}: cannot be read ({error.strerror}); {expected}") from error
        onnxfile.check(content, self.what)
        providers = _providers(accelerator)
        onnxruntime.set_default_logger_severity(4)  # what it would print, the error below says in a line
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # threads that spin while they wait are in the way of the other networks': a photo takes up to a third longer
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False  # it plans for one shape, and pictures have many
        _bound_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
        try:
            fallback = accelerator == "gpu"  # for the processor there is none, which it would print
            self.session = onnxruntime.InferenceSession(content, options, providers=providers, enable_fallback=fallback)
            self.metadata: dict[str, str] = self.session.get_modelmeta().custom_metadata_map
            parts = [*self.session.get_inputs(), *self.session.get_outputs()]
            own = [(part.name, part.type, part.shape[1:]) for part in parts]
        except Exception as error:  # onnxruntime's errors have no common class
            expected = "give a run's folder or its model.onnx"
            raise UserError(f"{self.what}: not an ONNX file that can be run; {expected}") from error
        if self.session.get_providers()[0] != providers[0]:  # it goes on without a GPU, and says nothing
            raise UserError("accelerator=gpu: ONNX Runtime finds no usable NVIDIA GPU; look at nvidia-smi, or use cpu")
        if not _fits(own, signature):
            parts_there = ", ".join(f"{name} {shape}" for name, _, shape in own)
            expected = " to ".join(f"{name} [N, {', '.join(map(str, shape))}]" for name, shape in signature)
            raise UserError(f"{self.what}: is another kind of network (N x {parts_there}); this needs {expected}")

    def compute(self, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the outputs.

        Raises:
            UserError: if they cannot be computed.
        """
        names = [part.name for part in self.session.get_outputs()]
        try:
            outputs: list[NDArray[np.float32]] = self.session.run(names, {self.session.get_inputs()[0].name: images})
        except Exception as error:  # onnxruntime's errors have no common class
            message = " ".join(str(error).split())
            reason = f"takes more than {MAX_MEMORY} bytes of memory" if "arena" in message else message[:200]
            raise UserError(f"{self.what}: cannot be computed ({reason}); give another network") from error
        return outputs


def _fits(parts: list[tuple[str, str, list[Any]]], signature: Signature) -> bool:
    """Whether inputs and outputs are as they must be."""
    if len(parts) != len(signature):
        return False
    return all(
        (name, kind) == (expected, "tensor(float)")
        and len(shape) == len(lengths)
        and all(isinstance(known, str) or known == length for known, length in zip(lengths, shape, strict=True))
        for (name, kind, shape), (expected, lengths) in zip(parts, signature, strict=True)
    )


class Reader(Network):
    """The network that says which digit an image is.

    The shipped one is three, of which the mean counts: those that differ by their seed alone err in different places
    (Hansen and Salamon 1990, Neural network ensembles).

    It is made as Network is, of a model.onnx from 28x28 images to ten probabilities.
    """

    def __init__(self, path: Path, accelerator: str = "cpu", threads: int = 0) -> None:
        super().__init__(path, "run", (("image", (1, 28, 28)), ("probabilities", (CLASSES,))), accelerator, threads)
        self.accelerator = accelerator
        self.beside = [Reader(other, accelerator, threads) for other in SHIPPED_BESIDE] if path == SHIPPED else []

    @property
    def title(self) -> str:
        """The network's name for people."""
        return "the shipped network" if self.path == SHIPPED else str(self.path)

    @property
    def threshold(self) -> float:
        """The probability of the likeliest digit below which a picture is a non-digit, as validation found it.

        Of the shipped ones the highest: what they say on the mean is surer of digits than what each says.
        """
        text = self.metadata.get("val/reject_below", "0")
        try:
            threshold = float(text)
        except ValueError:
            threshold = -1.0
        if not 0 <= threshold <= 1:
            raise UserError(f"{self.what}: says val/reject_below={text}; must be a number from 0 to 1")
        return max([threshold, *(other.threshold for other in self.beside)])

    @property
    def knows_non_digits(self) -> bool:
        """Whether it was trained to tell non-digits from digits; without, it takes two digits in one for a digit."""
        return "val/negatives_rejected" in self.metadata

    def probabilities(self, images: NDArray[np.float32] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities, float32 [N, 10], of images, bright ink on black.

        Args:
            images: [N, 28, 28], float32 in [0, 1], or uint8.
        """
        at_once = TOGETHER[self.accelerator]
        probabilities = np.empty((len(images), CLASSES), dtype=np.float32)
        for start in range(0, len(images), at_once):
            batch: NDArray[Any] = images[start : start + at_once, None]
            if batch.dtype == np.uint8:
                batch = batch * np.float32(1 / 255)
            (computed,) = self.compute(batch)
            if computed.shape != (len(batch), CLASSES):
                shape = list(computed.shape)
                raise UserError(f"{self.what}: gives {shape} for {len(batch)} images; must give [N, {CLASSES}]")
            if not (computed.min() >= 0 and computed.sum(axis=1).max() < 1 + ROUNDING):  # also where it is NaN
                raise UserError(
                    f"{self.what}: gives what are no probabilities; must be 0 to 1, with a sum of 1 at most"
                )
            probabilities[start : start + at_once] = computed
        for other in self.beside:
            probabilities += other.probabilities(images)
        probabilities /= 1 + len(self.beside)
        return probabilities


class PageReader(Network):
    """The network that finds the ink of digits, a model.onnx of train.py model=pages; made as Network is."""

    def __init__(self, path: Path, accelerator: str = "cpu", threads: int = 0) -> None:
        sides = ("height", "width")
        signature = (("picture", (1, *sides)), ("ink", (2, *sides)), ("votes", (3, "height/2", "width/2")))
        super().__init__(path, "pages", signature, accelerator, threads)

    def __call__(self, pictures: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the probability of ink and the votes, as models/pagenet.py says.

        Args:
            pictures: float32 [N, 1, height, width] in [0, 1].
        """
        axis = 3 if pictures.shape[3] > pictures.shape[2] else 2
        length = pictures.shape[axis]
        step = -(-length // (32 * -(-length // AT_A_TIME))) * 32  # of parts that are about equal
        parts = [self._part(pictures, axis, start, start + step) for start in range(0, length, step)]
        ink, votes = (np.concatenate(output, axis) for output in zip(*parts, strict=True))
        return ink, votes

    def _part(
        self, pictures: NDArray[np.float32], axis: int, start: int, end: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Compute what stands between two places of an axis."""
        first, before = max(0, start - REACH), (slice(None),) * axis
        seen = pictures[(*before, slice(first, end + REACH))]
        ink, votes = self.compute(seen)
        count, _, height, width = seen.shape
        if ink.shape != (count, 2, height, width) or votes.shape != (count, 3, height // 2, width // 2):
            raise UserError(f"{self.what}: gives {list(ink.shape)} and {list(votes.shape)} for {list(seen.shape)}")
        start, end = start - first, end - first
        return ink[(*before, slice(start, end))], votes[(*before, slice(start // 2, end // 2))]


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


def digit_network_path(run: str | None, outputs_dir: str) -> Path:
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
    return SHIPPED if run == "shipped" else _model_of("run", run)


def page_network_path(run: str | None) -> Path:
    """Return the model.onnx of the page network to read with.

    Args:
        run: the folder of a run of model=pages, an .onnx file, or `shipped`, as None.

    Raises:
        UserError: if there is no such run, or it never finished.
    """
    return SHIPPED_PAGES if run in (None, "shipped") else _model_of("pages", str(run))


@cache
def shipped_page_network() -> PageReader:
    """Open the shipped page network, once."""
    return PageReader(SHIPPED_PAGES)


def _model_of(setting: str, run: str) -> Path:
    path = expanded(run)
    if not path.is_dir():
        return path
    if not (path / runs.MODEL_FILE).exists():
        resumable = runs.is_resumable(path)
        expected = f"go on with train.py resume={run}" if resumable else "give the folder of a run that did"
        raise UserError(f"{setting}={run}: has no {runs.MODEL_FILE}, so it never finished; {expected}")
    return path / runs.MODEL_FILE
