"""The picture of a benchmark."""

import numpy as np
from matplotlib.figure import Figure

from digits.tracking.pictures import Picture, drawn


def bars(parts: dict[str, dict[str, list[float]]], unit: str) -> Picture:
    """Draw who was how fast: a panel for each part, in it a bar at each median and a dot for each round.

    Args:
        parts: by title, by name, what was measured.
        unit: of all figures.
    """
    lines = sum(len(part) + 2 for part in parts.values())
    figure = Figure(figsize=(9, 0.42 * lines + 0.4), dpi=100, layout="constrained")
    heights = [len(part) + 1 for part in parts.values()]
    panels = figure.subplots(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, part) in zip(panels, parts.items(), strict=True):
        for line, values in enumerate(part.values()):
            middle = float(np.median(values))
            axes.barh(line, middle, height=0.6, color="tab:blue", alpha=0.5)
            axes.scatter(values, [line] * len(values), s=10, color="tab:blue")
            text = f"{middle:,.0f}" if middle >= 1000 else f"{middle:.2f}"
            axes.annotate(text, (max(*values, middle), line), (6, 0), textcoords="offset points", va="center")
        axes.set(title=title, xlabel=unit, ylim=(len(part) - 0.5, -0.5))
        axes.set_yticks(range(len(part)), list(part))
        axes.margins(x=0.12)
        axes.spines[["top", "right"]].set_visible(False)
    return drawn(figure)
