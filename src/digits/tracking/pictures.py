"""Pictures of a network and its mistakes; light on paper, as RGB arrays [height, width, 3]."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]

PAPER_TO_BLUE = ((255, 8), (255, 64), (255, 129))
"""Red, green and blue of no and of all images."""


def confusion_matrix(counts: NDArray[np.int64], title: str) -> Picture:
    """Draw a confusion matrix with counts and the percentages of each row.

    Drawn without matplotlib, which takes 0.1 s for it: a fifth of an epoch of the 784-200-10 network.

    Args:
        counts: int64 [10, 10], rows true, columns predicted.
        title: what stands above it.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell, left, top = 66, 60, 50
    picture = Image.new("RGB", (left + 10 * cell + 20, top + 10 * cell + 60), "white")
    draw, text = _pen(picture)
    right, bottom = left + 10 * cell, top + 10 * cell
    for row, column in zip(*np.nonzero(counts), strict=True):
        share = shares[row, column]
        x, y = left + column * cell, top + row * cell
        paper = tuple(np.interp(share**0.5, (0, 1), ends) for ends in PAPER_TO_BLUE)  # the root: 1 in 100 shows as well
        draw.rectangle((x, y, x + cell - 1, y + cell - 1), tuple(map(round, paper)))
        lines = f"{counts[row, column]}\n{share:.1%}"
        text((x + cell / 2, y + cell / 2), lines, 13, fill="white" if share > 0.5 else "black", align="center")
    draw.rectangle((left - 1, top - 1, right, bottom), outline="black")
    for digit in range(10):
        middle = digit * cell + cell / 2
        text((left - 14, top + middle), str(digit), 14)
        text((left + middle, bottom + 16), str(digit), 14)
    text((left + 5 * cell, top - 25), title, 16)
    text((left + 5 * cell, bottom + 40), "predicted", 14)
    sideways = Image.new("L", (60, 20))
    _pen(sideways)[1]((30, 10), "true", 14, fill="white")
    picture.paste("black", (10, top + 5 * cell - 30), sideways.rotate(90, expand=True))
    return np.asarray(picture)


def misread(images: NDArray[np.uint8], labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Picture:
    """Draw the images that were read wrongly with the most confidence, each with truth, answer and confidence.

    Args:
        images: uint8 [N, 28, 28], all images that were read.
        labels: int64 [N].
        probabilities: float32 [N, 10].
    """
    rows, columns = 5, 8
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][: rows * columns]
    cell_height, cell_width = 40, 32  # pixels of the mosaic: 28 and a margin, with room for a line of text above
    mosaic = np.zeros((rows * cell_height, columns * cell_width), dtype=np.uint8)
    figure, axes = _page(columns * 1.15, rows * 1.4 + 0.4)
    for place, index in enumerate(worst):
        top, left = place // columns * cell_height + 10, place % columns * cell_width + 2
        mosaic[top : top + 28, left : left + 28] = images[index]
        text = f"{labels[index]} read as {predicted[index]}\n{probabilities[index, predicted[index]]:.1%}"
        axes.text(left + 13.5, top - 1.5, text, ha="center", va="bottom", fontsize=8, linespacing=1)
    axes.imshow(mosaic, cmap="Greys", vmin=0, vmax=255, interpolation="nearest")
    axes.set(title=f"{len(wrong)} of {len(labels)} misread; the most confident ones")
    axes.axis("off")
    return drawn(figure)


def predictions(images: NDArray[np.uint8], probabilities: NDArray[np.float32]) -> Picture:
    """Draw images, each with the probabilities of the ten digits and the likeliest one.

    Args:
        images: uint8 [N, 28, 28], a few.
        probabilities: float32 [N, 10].
    """
    rows = len(images)
    figure, axes = _page(8, 0.6 * rows + 1.1)
    axes.imshow(probabilities, cmap="Blues", vmin=0, vmax=1.4, extent=(-0.5, 9.5, rows - 0.5, -0.5), aspect="auto")
    for row, column in zip(*np.nonzero(probabilities >= 0.001), strict=True):
        bold = "bold" if column == probabilities[row].argmax() else "normal"
        axes.text(column, row, f"{probabilities[row, column]:.1%}", ha="center", va="center", fontsize=9, weight=bold)
    strip = np.concatenate(list(np.pad(images, ((0, 0), (1, 1), (1, 1)))))
    axes.imshow(strip, cmap="Greys", vmin=0, vmax=255, extent=(-1.6, -0.6, rows - 0.5, -0.5), aspect="auto")
    axes.set(
        xlim=(-1.6, 9.5), xticks=range(10), yticks=range(rows), title="test images, and how probable each digit is"
    )
    axes.set_yticklabels([str(digit) for digit in probabilities.argmax(axis=1)])
    axes.set(ylabel="read as", xlabel="digit")
    axes.tick_params(length=0)
    return drawn(figure)


def reliability(stages: dict[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> Picture:
    """Draw a reliability diagram: how often predictions of a confidence are correct (Guo et al. 2017, figure 1).

    Args:
        stages: probabilities, float32 [N, 10], by the name of what was done to them.
        labels: int64 [N].
    """
    bins = 15  # of confidence, equally wide
    figure, axes = _page(6, 6)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, label="as it should be")
    for (name, probabilities), marker in zip(stages.items(), "os", strict=False):
        confidences, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
        places = np.minimum((confidences * bins).astype(int), bins - 1)
        counts = np.bincount(places, minlength=bins)
        filled = counts > 0
        mean = [np.bincount(places, values, bins)[filled] / counts[filled] for values in (confidences, correct)]
        error = np.abs(mean[0] - mean[1]) @ counts[filled] / len(labels)
        mean_confidence, mean_accuracy = mean
        axes.scatter(
            mean_confidence, mean_accuracy, 8 + 250 * np.sqrt(counts[filled] / len(labels)), marker=marker, alpha=0.6
        )
        axes.plot(
            mean_confidence, mean_accuracy, linewidth=1, label=f"{name} the temperature: calibration error {error:.2%}"
        )
    axes.set(xlabel="confidence", ylabel="share that is correct", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set(title="test: what confidence is worth (area: how many)")
    axes.legend(loc="lower right")
    return drawn(figure)


def batch(images: NDArray[np.float32], labels: NDArray[np.int64]) -> Picture:
    """Draw a mini-batch as the network sees it, each image under its label; a non-digit has a dash.

    Drawn without matplotlib as well, since it is drawn in the time of the training.

    Args:
        images: float32 [N, 28, 28] in [0, 1]; the first 256 are drawn.
        labels: int64 [N], 0 to 9, or 10 for non-digits.
    """
    images, columns, scale, top = images[:256], 16, 2, 40
    height, width = 28 * scale + 18, 28 * scale + 4
    size = columns * width + 20, -(-len(images) // columns) * height + top
    picture = Image.new("RGB", size, "white")
    text = _pen(picture)[1]
    for place, (image, label) in enumerate(zip(images, labels, strict=False)):
        x, y = place % columns * width + 10, place // columns * height + top
        text((x + 14 * scale, y + 7), "-" if label > 9 else str(label), 12)
        ink = Image.fromarray((255 * (1 - image.clip(0, 1))).round().astype(np.uint8))
        picture.paste(ink.resize((28 * scale, 28 * scale), Image.Resampling.NEAREST), (x, y + 15))
    title = f"the first mini-batch: {len(labels)} images" + (", the first 256" if len(labels) > 256 else "")
    text((size[0] / 2, top / 2), title, 16)
    return np.asarray(picture)


def forms(sheet: dict[int, NDArray[np.uint8]]) -> Picture:
    """Draw a contact sheet of the drawn digits: a block for each digit, in it a line for each of its forms.

    Args:
        sheet: by the digit, uint8 [forms, samples, 28, 28].
    """
    lines = max(map(len, sheet.values()))
    samples = next(iter(sheet.values())).shape[1]
    cell, block = 29, samples * 29 + 8
    mosaic = np.zeros((lines * cell, len(sheet) * block), dtype=np.uint8)
    figure, axes = _page(mosaic.shape[1] / 100, mosaic.shape[0] / 100 + 0.9)
    for column, (digit, images) in enumerate(sheet.items()):
        axes.text(column * block + block / 2, -6, str(digit), ha="center", va="bottom", fontsize=10)
        for line, samples_of_form in enumerate(images):
            strip = np.concatenate(list(np.pad(samples_of_form, ((0, 0), (0, 0), (0, 1)))), axis=1)
            mosaic[line * cell : line * cell + 28, column * block : column * block + strip.shape[1]] = strip
    axes.imshow(mosaic, cmap="Greys", vmin=0, vmax=255, interpolation="antialiased")
    axes.set_title("the forms in which digits are drawn, each varied", pad=20)
    axes.axis("off")
    return drawn(figure)


def first_layer(weights: NDArray[np.float32]) -> Picture:
    """Draw what each unit of the first layer looks for: red where ink excites it, blue where ink calms it.

    Args:
        weights: float32 [units, height, width].
    """
    units, height, width = weights.shape
    columns = min(units, max(6, round((2 * units) ** 0.5)))  # about twice as wide as high
    rows = -(-units // columns)
    mosaic = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1), np.nan, dtype=np.float32)
    for unit, image in enumerate(weights):
        top, left = unit // columns * (height + 1) + 1, unit % columns * (width + 1) + 1
        mosaic[top : top + height, left : left + width] = image / np.abs(image).max()
    figure, axes = _page(10, 10 * mosaic.shape[0] / mosaic.shape[1] + 0.5)
    axes.imshow(mosaic, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    axes.set(title=f"first layer: {units} units of {height}x{width}, each scaled by its largest weight")
    axes.axis("off")
    return drawn(figure)


def _pen(picture: Image.Image) -> tuple[ImageDraw.ImageDraw, Callable[..., None]]:
    """Return what draws on a picture, and what writes on it: place of the text's middle, text, size in pixels."""
    draw = ImageDraw.Draw(picture)

    def text(place: tuple[float, float], words: str, size: int, fill: str = "black", align: str = "left") -> None:
        draw.text(place, words, fill, _font(size), anchor="mm", align=align)

    return draw, text


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _page(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure, inches at 100 dots each, without pyplot, which would keep every figure it made."""
    figure = Figure(figsize=(width, height), dpi=100)
    left, bottom, top = 0.55 / width, 0.5 / height, 0.4 / height  # set, because finding them would draw it twice
    return figure, figure.add_axes((left, bottom, 1 - 1.5 * left, 1 - bottom - top))


def drawn(figure: Figure) -> Picture:
    """Return a figure as a picture."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
