"""Digits as strokes of a pen, to be drawn on the page as a person would: by mouse, or by finger."""

import math

Point = tuple[float, float]
"""x to the right, y down, both from 0 to 1 over the canvas."""


def arc(x: float, y: float, width: float, height: float, start: float, end: float) -> list[Point]:
    """Points along an ellipse round x, y; degrees, 0 to the right, 90 down."""
    steps = max(2, int(abs(end - start) / 15))
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [(x + width / 2 * math.cos(angle), y + height / 2 * math.sin(angle)) for angle in angles]


STROKES: dict[str, list[list[Point]]] = {
    "0": [arc(0.5, 0.5, 0.38, 0.6, -80, 285)],
    "1": [[(0.38, 0.34), (0.52, 0.2), (0.52, 0.8)]],
    "2": [[*arc(0.48, 0.36, 0.34, 0.32, 190, 400), (0.3, 0.8), (0.7, 0.8)]],
    "3": [[*arc(0.47, 0.35, 0.3, 0.28, 200, 440), *arc(0.47, 0.64, 0.36, 0.32, 280, 510)]],
    "4": [[(0.44, 0.2), (0.28, 0.55), (0.72, 0.55)], [(0.6, 0.35), (0.58, 0.82)]],
    "5": [[(0.66, 0.2), (0.38, 0.2), (0.36, 0.45), *arc(0.46, 0.6, 0.38, 0.36, 235, 500)]],
    "6": [[(0.6, 0.2), (0.42, 0.4), *arc(0.5, 0.64, 0.32, 0.32, 190, 550)]],
    "7": [[(0.3, 0.22), (0.68, 0.22), (0.46, 0.8)]],
    "8": [[*arc(0.5, 0.35, 0.26, 0.28, 90, 450), *arc(0.5, 0.65, 0.34, 0.32, 270, -90)]],
    "9": [[*arc(0.48, 0.37, 0.3, 0.32, 0, -360), (0.63, 0.5), (0.58, 0.8)]],
}
"""How a person might draw each digit."""
