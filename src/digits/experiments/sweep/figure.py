"""The picture of a search: how its trials came out, and how important each setting is."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from digits.tracking import figures


def trials(
    finished: dict[int, float], pruned: dict[int, float], importances: dict[str, float], objective: str, sign: int
) -> figures.Picture:
    """Draw every trial, the best so far, and beside them how important each setting is.

    Args:
        finished: the objective of each finished trial, by its number.
        pruned: the last one of each pruned trial.
        importances: by setting, 0 to 1.
        objective: its name.
        sign: 1 where less is better, -1 where more is.
    """
    height = 1.4 + max(2.2, 0.4 * len(importances))
    figure = Figure(figsize=(10, height), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    if pruned:
        left.scatter(
            list(pruned), list(pruned.values()), s=22, marker="x", color="tab:gray", label="pruned, last epoch"
        )
    left.scatter(list(finished), list(finished.values()), s=26, color="tab:blue", label="finished")
    numbers = sorted(finished)
    so_far = sign * np.minimum.accumulate([sign * finished[number] for number in numbers])
    left.step(numbers, so_far, where="post", color="tab:orange", label="best so far")
    left.set(title=f"{len(finished)} finished, {len(pruned)} pruned", xlabel="trial", ylabel=objective)
    values = [*finished.values(), *pruned.values()]
    if values and min(values) > 0 and max(values) > 10 * min(values):
        left.set_yscale("log")
        left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        left.yaxis.set_major_formatter("{x:g}")
        left.yaxis.set_minor_formatter(NullFormatter())
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(fontsize=8)
    left.grid(alpha=0.3)
    names = sorted(importances, key=lambda name: importances[name])
    right.barh(names, [importances[name] for name in names], height=0.6, color="tab:blue", alpha=0.6)
    for line, name in enumerate(names):
        share = importances[name]
        right.annotate(f"{share:.0%}", (share, line), (5, 0), textcoords="offset points", va="center")
    right.set(title="importance" if names else "importance: after two finished trials", xlim=(0, 1.12))
    right.xaxis.set_major_formatter(PercentFormatter(1))
    right.spines[["top", "right"]].set_visible(False)
    return figures.drawn(figure)
