"""The picture of a comparison."""

from textwrap import shorten

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from digits.tracking.pictures import Picture, drawn

LONGEST = 60
"""Letters of an experiment that there is room for."""


def comparison(names: list[str], accuracies: dict[str, list[list[float]]], seconds: list[list[float]]) -> Picture:
    """Draw experiments beside each other: a line each, a panel for each quantity; dots are runs, a bar is their mean.

    Args:
        names: of the experiments.
        accuracies: by what was read, for each experiment the accuracy of each run, 0 to 1; drawn as errors.
        seconds: for each experiment how long each run trained.
    """
    panels = {
        f"error on {what}": [100 - 100 * np.array(accuracies_of_runs) for accuracies_of_runs in values]
        for what, values in accuracies.items()
    }
    panels["training"] = [np.array(of_runs) for of_runs in seconds]
    figure = Figure(figsize=(3.2 + 3.2 * len(panels), 1.2 + 0.42 * len(names)), dpi=100, layout="constrained")
    lines = range(len(names))
    for number, (title, values) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), number)
        unit = "s" if title == "training" else "%"
        for line, of_runs in zip(lines, values, strict=True):
            shown, mean = np.maximum(of_runs, 0.001), float(np.mean(of_runs))  # no place for 0 on a logarithmic axis
            axes.scatter(shown, [line] * len(of_runs), s=22, color="tab:blue", alpha=0.5)
            axes.scatter(shown.mean(), line, s=260, marker="|", color="tab:blue", linewidth=2)
            text = f"{mean:.2f} %" if unit == "%" else f"{mean:.1f} s"
            axes.annotate(text, (shown.mean(), line), (0, 9), textcoords="offset points", ha="center", fontsize=8)
        axes.set(title=title, xscale="log", xlabel=f"{unit}, logarithmic", ylim=(len(names) - 0.5, -0.7))
        axes.set_yticks(lines, [shorten(name, LONGEST, placeholder=" ...") if number == 1 else "" for name in names])
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.15)
        axes.grid(axis="x", alpha=0.3)
    return drawn(figure)
