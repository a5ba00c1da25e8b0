"""What is round the ink on a photographed page: paper, desk, light, lens, and pictures of something else."""

import functools
import io
from pathlib import Path

import matplotlib
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Grey = NDArray[np.float32]
"""[height, width], 0 (black) to 1 (white)."""

LETTERS = "aabcdeeefghiijklmnnooprrsstttuvwxyzABCDEFGHIKLMNOPRSTUVW.,:;-()"
"""Letters of printed words; no digits, which would have to be read or not by what they are printed with."""


TILE = 1024
"""Pixels of a side of the noise that all pages cut theirs from."""

STEPS = (1, 2, 3, 5, 8, 14, 24, 40, 80, 160)
"""Pixels over which a tile of noise changes."""


@functools.cache
def _tile(step: int) -> Grey:
    """Return noise that changes over so many pixels, float32 [TILE, TILE], mean 0, deviation 1."""
    cells = TILE // step
    noise = np.random.default_rng(step).standard_normal((cells, cells), dtype=np.float32)
    soft = np.array(Image.fromarray(noise).resize((TILE, TILE), Image.Resampling.BICUBIC))
    return np.asarray(soft / soft.std(), dtype=np.float32)


def field(rng: Generator, side: int, step: float) -> Grey:
    """Return noise that changes over about `step` pixels, float32 [side, side], mean 0, deviation about 1."""
    tile = _tile(min(STEPS, key=lambda known: abs(np.log(known / step))))
    top, left = rng.integers(0, TILE - side, 2)
    part = tile[top : top + side, left : left + side]
    if rng.random() < 0.5:
        part = part.T
    return part[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]


def grain(rng: Generator, side: int) -> Grey:
    """Return a surface's fine structure: noise of three sizes, its deviation about 1."""
    weights = rng.dirichlet((1, 1, 1)) ** 0.5
    steps = np.exp(rng.uniform(np.log((1, 3, 12)), np.log((3, 12, 60))))
    parts = [np.float32(weight) * field(rng, side, step) for weight, step in zip(weights, steps, strict=True)]
    return np.asarray(parts[0] + parts[1] + parts[2], dtype=np.float32)


def paper(rng: Generator, side: int) -> Grey:
    """Return an empty sheet, float32 [side, side]: its tone, grain, rules or squares, folds, print and specks."""
    sheet = np.full((side, side), rng.uniform(0.75, 1), dtype=np.float32)
    if rng.random() < 0.7:
        sheet += grain(rng, side) * rng.uniform(0, 0.03)
    lines = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(lines)
    kind = rng.choice(["none", "rules", "squares", "waves"], p=[0.46, 0.18, 0.2, 0.16])
    if kind != "none":
        _ruled(pen, kind, rng, side)
        soft = lines.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1))))
        sheet -= np.asarray(soft, dtype=np.float32) / 255 * rng.uniform(0.04, 0.45)
    if rng.random() < 0.12:
        sheet += _folds(rng, side)
    if rng.random() < 0.15:
        sheet -= printed(rng, side) * rng.uniform(0.1, 0.8)
    if rng.random() < 0.2:
        spots = Image.new("L", (side, side), 0)
        pen = ImageDraw.Draw(spots)
        for x, y, radius in rng.uniform((0, 0, 0.3), (side, side, 3), (rng.integers(1, 25), 3)):
            pen.ellipse((x - radius, y - radius * rng.uniform(0.4, 1), x + radius, y + radius), fill=255)
        sheet -= np.asarray(spots, dtype=np.float32) / 255 * rng.uniform(0.05, 0.6)
    return sheet


def _ruled(pen: ImageDraw.ImageDraw, kind: str, rng: Generator, side: int) -> None:
    pitch = np.exp(rng.uniform(np.log(8), np.log(110)))
    width = int(rng.integers(1, 3)) if pitch > 25 else 1
    start = rng.uniform(0, pitch)
    if kind == "waves":  # on cheques: in bands, beside or over each other
        x = np.arange(side)
        apart = rng.uniform(3, 20) if rng.random() < 0.5 else 0.0
        for number in range(int(rng.integers(2, 30))):
            wave = rng.uniform(0.1, 0.6) * pitch * np.sin(x * rng.uniform(0.5, 3) / pitch + number * rng.uniform(0, 1))
            y = (start + apart * number if apart else side * rng.random()) + wave + x * rng.normal(0, 0.1)
            pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=255, width=width)
        return
    for place in np.arange(start, side, pitch):
        pen.line((0, place, side, place), fill=255, width=width)
        if kind == "squares":
            pen.line((place, 0, place, side), fill=255, width=width)
    if kind == "rules" and rng.random() < 0.3:
        place = rng.uniform(0, side)
        pen.line((place, 0, place, side), fill=255, width=width)


def _folds(rng: Generator, side: int) -> Grey:
    total = np.zeros((side, side), dtype=np.float32)
    y, x = np.mgrid[:side, :side].astype(np.float32) - side / 2
    for _ in range(rng.integers(1, 6)):
        angle, place = rng.uniform(0, 2 * np.pi), rng.uniform(-side / 2, side / 2)
        across = x * np.cos(angle) + y * np.sin(angle) - place
        width = rng.uniform(1, 10)
        total += rng.uniform(-0.1, 0.1) * np.exp(-np.abs(across) / width) * np.where(across > 0, 1, rng.uniform(-1, 1))
    return total


@functools.cache
def _fonts() -> tuple[Path, ...]:
    """Return the fonts that come with Matplotlib, which nothing of goes into a network but its shapes."""
    return tuple(sorted((Path(matplotlib.get_data_path()) / "fonts" / "ttf").glob("DejaVu*.ttf")))


def printed(rng: Generator, side: int) -> Grey:
    """Return some lines of print, 1 where there is ink, float32 [side, side]."""
    sheet = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(sheet)
    size = int(np.exp(rng.uniform(np.log(7), np.log(48))))
    font = ImageFont.truetype(_fonts()[rng.integers(len(_fonts()))], size)
    left, top = rng.uniform(-0.2 * side, 0.7 * side), rng.uniform(-0.1 * side, 0.9 * side)
    for line in range(int(rng.integers(1, 9))):
        letters = "".join(rng.choice(list(LETTERS), rng.integers(2, 40)))
        spaces = [letters[start : start + 6] for start in range(0, len(letters), int(rng.integers(3, 9)))]
        pen.text((left, top + line * size * 1.3), " ".join(spaces), fill=255, font=font)
    return np.asarray(sheet, dtype=np.float32) * np.float32(1 / 255)


def scene(rng: Generator, side: int) -> Grey:
    """Return what a photograph shows that is no page: overlapping shapes of all sizes, each with shade and texture.

    Dead leaves: their edges and sizes are distributed as in photographs (Lee, Mumford, Huang 2001, Occlusion models for
    natural images).
    """
    leaves = Image.new("F", (side, side), float(rng.uniform(0.1, 0.9)))
    pen = ImageDraw.Draw(leaves)
    spread = rng.uniform(0.05, 0.35)
    middle = rng.uniform(0.15, 0.85)
    smallest = np.exp(rng.uniform(np.log(2), np.log(side / 4)))
    for _ in range(rng.integers(1, 120)):
        radius = min(smallest / max(rng.random(), 1e-3) ** 0.7, 0.7 * side)
        x, y = rng.uniform(-0.1 * side, 1.1 * side, 2)
        tone = float(np.clip(rng.normal(middle, spread), 0, 1))
        corners = int(rng.choice([0, 2, 3, 4, 5, 7]))
        if corners == 0:
            flat = rng.uniform(0.3, 1)
            pen.ellipse((x - radius, y - radius * flat, x + radius, y + radius * flat), fill=tone)
        elif corners == 2:
            ends = rng.normal((x, y), radius, (rng.integers(2, 6), 2))
            pen.line([tuple(end) for end in ends], fill=tone, width=int(rng.integers(1, 8)), joint="curve")
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
            reach = radius * rng.uniform(0.5, 1, corners)
            pen.polygon(list(zip(x + reach * np.cos(angles), y + reach * np.sin(angles), strict=True)), fill=tone)
    picture = np.array(leaves, dtype=np.float32)
    if rng.random() < 0.3:  # bricks, fences, fabric
        y, x = np.mgrid[:side, :side].astype(np.float32)
        turn, period = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(4), np.log(60)))
        waves = np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / period + field(rng, side, 40))
        if rng.random() < 0.5:
            waves = np.maximum(waves, np.sin((y * np.cos(turn) - x * np.sin(turn)) * 2 * np.pi / period))
        picture += np.clip(waves * rng.uniform(1, 5), -1, 1) * rng.uniform(0.03, 0.3)
    if rng.random() < 0.15:
        picture += printed(rng, side) * rng.uniform(-0.8, 0.8)
    texture = grain(rng, side) * rng.uniform(0, 0.15)
    shade = field(rng, side, 120) * np.float32(rng.uniform(0, 0.1))
    return np.asarray(picture + texture + shade, dtype=np.float32).clip(0, 1)


def light(rng: Generator, side: int) -> Grey:
    """Return how much light falls on each pixel, float32 [side, side]: uneven, darker to the rim, shadows."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    falling = np.ones((side, side), dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    falling += (x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(0, 0.6)
    if rng.random() < 0.3:
        falling -= rng.uniform(0.2, 1) * ((x - rng.uniform(-0.4, 0.4)) ** 2 + (y - rng.uniform(-0.4, 0.4)) ** 2)
    if rng.random() < 0.4:
        falling *= 1 + field(rng, side, rng.uniform(40, 200)) * rng.uniform(0, 0.12)
    for _ in range(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1])):
        shadow = Image.new("L", (side, side), 0)
        corners = rng.uniform(-0.6 * side, 1.6 * side, (rng.integers(3, 6), 2))
        ImageDraw.Draw(shadow).polygon([tuple(corner) for corner in corners], fill=255)
        soft = shadow.filter(ImageFilter.GaussianBlur(float(np.exp(rng.uniform(np.log(0.7), np.log(25))))))
        falling *= 1 - np.asarray(soft, dtype=np.float32) / 255 * rng.uniform(0.15, 0.7)
    return np.asarray(falling, dtype=np.float32).clip(0.08, 1.4)


def camera(picture: Grey, rng: Generator) -> Grey:
    """Return a picture as a lens and a file of it have it: exposed, blurred, of few pixels, noisy, compressed."""
    side = picture.shape[0]
    exposed = picture * rng.uniform(0.45, 1.1) / max(float(np.percentile(picture[::4, ::4], 95)), 0.05)
    tone = np.clip(exposed, 0, 1) ** rng.uniform(0.7, 1.4)
    seen = Image.fromarray((tone * 255).astype(np.float32))
    if rng.random() < 0.6:
        seen = Image.fromarray(
            np.asarray(seen.convert("L").filter(ImageFilter.GaussianBlur(float(rng.gamma(2, 0.45)))))
        )
    seen = seen.convert("L")
    if rng.random() < 0.25:
        few = int(side / rng.uniform(1, 2.6))
        kind = Image.Resampling(
            int(rng.choice([Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC]))
        )
        seen = seen.resize((few, few), Image.Resampling.BOX).resize((side, side), kind)
    if rng.random() < 0.6:
        noise = rng.standard_normal((side, side), dtype=np.float32) * rng.gamma(2, 1.8)
        seen = Image.fromarray(np.clip(np.asarray(seen) + noise, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        file = io.BytesIO()
        seen.save(file, "JPEG", quality=int(rng.integers(20, 96)))
        seen = Image.open(file)
    return np.asarray(seen, dtype=np.float32) * np.float32(1 / 255)
