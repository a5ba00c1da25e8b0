"""Tell ink from paper: which side is the ink, uneven light, the paper's grain, and rules and grids."""

import numpy as np
from PIL import Image

from digits.handwriting.morphology import Grey, Mask, blur, label, spread

LEAST_CONTRAST = 24
"""Grey levels of 255 between paper and ink; less is the paper's own grain."""

GRAIN = 5
"""Standard deviations of the paper's noise that ink must stand out by."""

OVERVIEW = 96
"""Pixels of the longer side at which light and shade are judged: they change slowly."""

FLAT = 10
"""Grey levels by which the light on a page may differ before it has to be evened out."""

PAGE_INK = 0.2
"""The share of a drawing from which on its strokes are so thick that they would pass for shade."""

MOST_INK = 0.3
"""The share of a picture up to which paper surrounds the strokes; where ink has more, the picture is cropped to it."""

ALL_ROUND = 0.85
"""The share of the picture's edge that paper has at least, if the picture is not cropped to the digit."""

NARROW = 16
"""The part of the picture's shorter side that a pen's stroke is narrower than; gaps between thick strokes are not."""

WHITE_AND_BLACK = 0.25
"""The share of pixels between the two levels that a drawing's or a scan's soft edges may have."""

SMALL = 64
"""Pixels of the longer side up to which a pen's stroke may be narrower than a pixel."""

RULE_LENGTH = 1.5
"""Heights of the rest of the ink that a line must be long to be a rule of the paper: a foot or a bar is shorter."""


def find_ink(brightness: Grey) -> Grey | None:
    """Say how much ink each pixel has.

    Args:
        brightness: float32 [height, width], 0 to 255, dark ink on light or light on dark.

    Returns:
        float32 [height, width] in [0, 1], or None where there is no ink.
    """
    levels = two_levels(brightness)
    if levels is None:
        return None
    if ink_is_light(brightness, *levels):
        brightness = 255 - brightness
        levels = 255 - levels[1], 255 - levels[0]
    depth = paper(brightness, *levels) - brightness
    blank = depth[depth < LEAST_CONTRAST]
    noise = 1.4826 * float(np.median(np.abs(blank))) if blank.size else 0.0  # a normal distribution's deviation
    marked = depth[depth > max(LEAST_CONTRAST, GRAIN * noise)]
    if marked.size == 0:
        return None
    full = float(np.percentile(marked, 90))  # a tenth may be darker: crossings, the rim of a marker's line
    ink: Grey = np.clip(depth / full, 0, 1, dtype=np.float32)
    return ink


def two_levels(brightness: Grey) -> tuple[float, float] | None:
    """Return a dark and a light level, of paper and ink or ink and paper; None where all is alike."""
    darkest, middle, lightest = (float(level) for level in np.percentile(brightness, (0.5, 50, 99.5)))
    # of small or thin drawings less than half a percent may be ink, so their extremes count as well
    if max(lightest - middle, middle - darkest) < LEAST_CONTRAST:
        darkest, lightest = float(brightness.min()), float(brightness.max())
    return None if lightest - darkest < LEAST_CONTRAST else (darkest, lightest)


def ink_is_light(brightness: Grey, darkest: float, lightest: float) -> bool:
    """Say which side is ink: what most of the picture is not.

    Where the two are about as much, paper is what is all round. Where that is not more than half, or nothing is all
    round, ink is what has narrow strokes: the rest is a desk, or a shadow. Where nothing is narrow, the picture is
    cropped to a thick digit. Then ink is what hangs together, and paper what it cuts to pieces: the corners and the
    holes.
    """
    middle = float(np.median(brightness))
    half = (darkest + lightest) / 2
    light = brightness > half
    if not MOST_INK < light.mean() < 1 - MOST_INK:
        return lightest - middle > middle - darkest
    edge = float(np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]]).mean())
    if max(edge, 1 - edge) > ALL_ROUND and (edge > 0.5) == (light.mean() > 0.5):
        return edge < 0.5
    narrow = _narrower_side(brightness, (lightest - darkest) / 3) if max(brightness.shape) > SMALL else None
    if narrow is not None:
        return narrow
    if not two_toned(brightness, darkest, lightest):
        return lightest - middle > middle - darkest
    pieces = [_pieces(light), _pieces(~light)]
    if pieces[0] == pieces[1]:
        corners = light[[0, 0, -1, -1], [0, -1, 0, -1]]
        return int(corners.sum()) < 2
    return pieces[0] < pieces[1]


def _narrower_side(brightness: Grey, contrast: float) -> bool | None:
    """Whether the narrowest lines of a picture are light ones; None if neither side has more of them."""
    small = overview(brightness)
    for window in range(3, min(small.shape) // NARROW + 1, 2):
        opened = spread(spread(small, window, window, np.minimum), window, window)
        closed = spread(spread(small, window, window), window, window, np.minimum)
        inner = slice(window, -window)  # at the edge, all that is cut off looks narrow
        light, dark = (int((lines[inner, inner] > contrast).sum()) for lines in (small - opened, closed - small))
        if max(light, dark) > small.size / 200 and max(light, dark) > 2 * min(light, dark):
            return light > dark
    return None


def overview(brightness: Grey) -> Grey:
    """Reduce a picture to OVERVIEW pixels on the longer side, if it has more."""
    height, width = brightness.shape
    factor = OVERVIEW / max(height, width)
    if factor >= 1:
        return brightness
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(Image.fromarray(brightness).resize(size, Image.Resampling.BOX))


def two_toned(brightness: Grey, darkest: float, lightest: float) -> bool:
    """Whether there are two levels and little between them, as in a drawing or a scan, without light and shade."""
    between = np.abs(brightness - (darkest + lightest) / 2) < (lightest - darkest) / 6
    return float(between.mean()) < WHITE_AND_BLACK


def _pieces(mask: Mask) -> int:
    """Count the connected pieces that have at least a hundredth of the picture."""
    sizes = np.bincount(label(mask, diagonal=False)[0].ravel())[1:]
    return int((sizes >= mask.size / 100).sum())


def paper(brightness: Grey, darkest: float, lightest: float) -> Grey | float:
    """Return how bright the paper is, dark ink on it: one level, or where light and shade differ, one for each pixel.

    Ink is narrow, so a closing with a wider window takes it away and leaves the shade (Serra 1982).

    Args:
        brightness: float32 [height, width], dark ink on light.
        darkest: the level of the ink.
        lightest: the level of the paper.
    """
    light = brightness > (darkest + lightest) / 2
    usual = float(np.median(brightness[light]))
    if light.mean() < 1 - PAGE_INK and two_toned(brightness, darkest, lightest):
        return usual
    small = overview(brightness)
    window = max(3, min(small.shape) // 3)
    shade = spread(spread(small, window, window), window, window, np.minimum)
    if np.ptp(shade) < FLAT:
        return usual
    smooth = blur(shade, window // 8 + 1)
    return np.asarray(Image.fromarray(smooth).resize(brightness.shape[::-1], Image.Resampling.BILINEAR))


def threshold(ink: Grey) -> float:
    """Return the amount of ink that parts paper and ink best: the largest variance between them (Otsu 1979)."""
    counts = np.bincount((ink.ravel() * 63.999).astype(np.intp), minlength=64)
    middles = (np.arange(64) + 0.5) / 64
    below = counts.cumsum()[:-1]
    above = ink.size - below
    sums = (counts * middles).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    # where there is nothing between the two, many are as good; the middle one is the safest
    best = np.flatnonzero(between >= np.nanmax(between) * (1 - 1e-6))
    return (1 + (int(best[0]) + int(best[-1])) / 2) / 64


def marks(ink: Grey, level: float) -> Mask:
    """Mark the ink: what has more than the level, and what has less but hangs together with it (Canny 1986).

    In a small picture a thin stroke fills its pixels only in part, so there half the level will do.
    """
    low = level * (0.5 if max(ink.shape) <= SMALL else 0.75)
    labels, places = label(ink > low)
    strong = np.zeros(len(places) + 1, dtype=bool)
    strong[labels[ink > level]] = True
    strong[0] = False
    return strong[labels]


def without_rules(mask: Mask) -> Mask:
    """Take away the rules and the grid of the paper: straight lines from edge to edge.

    A line that carries on above or below is crossed by a stroke there, which stays whole.
    """
    return _without_lines(_without_lines(mask).T).T


def _without_lines(mask: Mask) -> Mask:
    """Take away the lines that run from the left edge to the right one."""
    height, width = mask.shape
    spans = mask[:, : max(1, width // 50)].any() and mask[:, -max(1, width // 50) :].any()
    if not spans or width < OVERVIEW // 2:
        return mask
    # a line may lean, and grain may break it: it is what a window a tenth of the width wide is filled by, all along
    reach = max(3, width // 10) | 1
    closed = spread(spread(mask, 1, 5), 1, 5, np.minimum)
    labels, places = label(spread(spread(closed, 1, reach, np.minimum), 1, reach))
    kept = mask.copy()
    for number, (rows, columns) in enumerate(places, 1):
        line = labels[rows, columns] == number
        thickness = max(1.0, float(line.sum() / (columns.stop - columns.start)))
        lean = rows.stop - rows.start
        if columns.stop - columns.start < 0.9 * width or thickness > height / 12 or lean > width / 5 + thickness:
            continue
        without = kept & ~_uncrossed(kept, labels == number, thickness)
        rest = np.flatnonzero(without.any(axis=1))
        if (rest.size and width > RULE_LENGTH * (rest[-1] - rest[0] + 1)) or len(places) > 1:
            kept = without
    return kept


def _uncrossed(mask: Mask, line: Mask, thickness: float) -> Mask:
    """Return what of a line, with its rim, no stroke crosses: where the ink above and below it soon ends."""
    around = spread(line, 2 * int(thickness) + 7, 1) & mask
    crossed = around.sum(axis=0) > 1.7 * thickness + 2
    rim: Mask = spread(line, 5, 1) & mask & ~crossed
    return rim
