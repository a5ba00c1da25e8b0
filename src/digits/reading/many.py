"""Read many pictures: images that are in the network's form all at once, others on all cores."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.errors import UserError
from digits.formats.npz import read_images
from digits.handwriting.load import brightness, open_picture
from digits.handwriting.normalize import bright_on_black, in_mnist_form
from digits.handwriting.page import Page
from digits.processes import workers
from digits.reading.predictions import Prediction, of_image, of_picture, printable
from digits.reading.reader import PageReader, Reader
from digits.reading.recognize import Recognizer, Rows

WORTH_IT = 2.0
"""Seconds of work on one core from which on processes on the others are started, which takes half a second."""

LARGE, BYTES_PER_SECOND = 40_000, 200e3
"""Bytes, more of which hardly take longer, as a page's do in 0.2 s; and how many of these a core reads in a second."""

TOGETHER, TURNS = 64, 4
"""Pictures that a process is given together at most, and how often each process is given some at least."""


@dataclass(frozen=True)
class Source:
    """A picture to read."""

    name: Path
    """The file, with the image's number in an .npz."""
    image: NDArray[np.uint8] | None = None
    """[height, width], of an .npz; None where `name` is the file."""

    @property
    def size(self) -> int:
        """Bytes, up to LARGE, which it takes time to read by."""
        if self.image is not None:
            return min(self.image.nbytes, LARGE)
        return min(self.name.stat().st_size, LARGE) if self.name.exists() else 0

    def open(self) -> tuple[float, NDArray[np.float32]]:
        """Return how much it was reduced, and its brightness, [height, width], 0 to 255.

        Raises:
            UserError: if it cannot be read.
        """
        if self.image is not None:
            return 1.0, self.image.astype(np.float32)
        picture = open_picture(self.name)
        return picture.reduction, brightness(picture.image)


Read = tuple[list[Prediction], list[UserError]]
"""What was read, and what could not be."""


def read(
    recognizer: Recognizer, sources: Iterable[Source], errors: list[UserError]
) -> Iterator[tuple[Prediction, Page, Rows]]:
    """Read pictures in their order, in this process; yield the prediction for each, its page and its digits.

    Args:
        recognizer: what reads them.
        sources: the pictures.
        errors: where to add what cannot be read.
    """
    for source in sources:
        try:
            reduction, pixels = source.open()
            page = recognizer.find(pixels)
        except UserError as error:
            errors.append(error)
            continue
        rows = recognizer.read(page)
        yield of_picture(source.name, rows, reduction), page, rows


def read_array(recognizer: Recognizer, file: Path) -> Read:
    """Read the images of an .npz file.

    Raises:
        UserError: if it is not as it must be.
    """
    given = read_images(file)
    images = bright_on_black(np.rot90(given, -recognizer.turns, axes=(1, 2)))
    formed = in_mnist_form(images)
    names = [f"{printable(file)}[{number}]" for number in range(len(images))]
    probabilities = recognizer.reader.probabilities(images if formed.all() else images[formed])
    columns = (
        probabilities.argmax(axis=1).tolist(),
        (probabilities.max(axis=1) < recognizer.threshold).tolist(),
        probabilities.astype(np.float64).round(6).tolist(),
    )
    in_form, others = (np.flatnonzero(mask).tolist() for mask in (formed, ~formed))
    predictions = {number: of_image(names[number], *known) for number, *known in zip(in_form, *columns, strict=True)}
    of_others, errors = read_on_all_cores(recognizer, [Source(Path(names[number]), given[number]) for number in others])
    by_name = {prediction.file: prediction for prediction in (*predictions.values(), *of_others)}
    return [by_name[name] for name in names if name in by_name], errors


def read_on_all_cores(recognizer: Recognizer, sources: list[Source]) -> Read:
    """Read pictures in their order, in several processes where that is worth starting them; not on a GPU, their one."""
    cores = 1 if recognizer.reader.accelerator == "gpu" else min(os.cpu_count() or 1, len(sources))
    if cores < 2 or sum(source.size for source in sources) / BYTES_PER_SECOND < WORTH_IT:
        return _read_in_turn(recognizer, sources)
    together = min(TOGETHER, -(-len(sources) // (TURNS * cores)))
    parts = [sources[start : start + together] for start in range(0, len(sources), together)]
    paths = recognizer.reader.path, recognizer.page_network.path
    with workers(cores, _begin, *paths, recognizer.digits, recognizer.reject, recognizer.rotate) as processes:
        predictions, errors_of_parts = zip(*processes.map(_read_part, parts), strict=True)
    return list(chain.from_iterable(predictions)), list(chain.from_iterable(errors_of_parts))


_recognizers: list[Recognizer] = []
"""What a process that reads for another one reads with."""


def _begin(model: Path, pages: Path, digits: str, reject: bool, rotate: str) -> None:
    page_network = PageReader(pages, threads=1)
    _recognizers.append(Recognizer(Reader(model, threads=1), page_network, digits, reject, rotate))


def _read_part(sources: list[Source]) -> Read:
    return _read_in_turn(_recognizers[0], sources)


def _read_in_turn(recognizer: Recognizer, sources: list[Source]) -> Read:
    errors: list[UserError] = []
    return [prediction for prediction, _, _ in read(recognizer, sources, errors)], errors
