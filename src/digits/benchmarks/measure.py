"""Measure, and lay the figures beside each other: table, JSON and chart."""

import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median

from PIL import Image

from digits.benchmarks.chart import bars
from digits.benchmarks.predicting import predicting
from digits.benchmarks.recipes import recipes, repeated
from digits.benchmarks.round_robin import Seconds, ratio
from digits.benchmarks.training import BASELINE, training
from digits.config.commands import BenchmarkConfig
from digits.data import mnist
from digits.errors import renamed_setting
from digits.files import made_folder, markdown_table, project_path, shown, write_picture, write_text
from digits.training import devices

LIBRARIES = ("torch", "torchvision", "lightning", "onnxruntime", "numpy")


def benchmark(config: BenchmarkConfig) -> None:
    """Measure what the config names; write table.md, figures.json and chart.png, and show the table.

    Raises:
        UserError: if there is no such device, or nothing can be written.
    """
    device = devices.choose(config.accelerator, "accelerator")
    accelerator = "cpu" if device.accelerator == "cpu" else "gpu"
    out = made_folder("outputs_dir", project_path(config.outputs_dir) / "benchmark")
    data_dir = project_path(config.data_dir)
    with renamed_setting("data.dir", to="data_dir"):
        mnist.prepare(data_dir)
    machine = {
        "processor": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "device": device.name,
        "system": platform.platform(),
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
    }
    _report(f"on {device.name}, torch {machine['torch']}; rounds: {config.rounds}")
    what = config.what or ("train" if accelerator == "cpu" else "all")
    parts, unit, sections = {}, "images/s", [", ".join(f"{key} {value}" for key, value in machine.items()) + "\n"]

    def add(*tables: str) -> None:  # at once: on a GPU all of it takes a quarter of an hour
        sections[-1:-1] = tables
        write_text(out / "table.md", "\n".join(sections))

    if what != "predict":
        parts = training(config, data_dir, accelerator, _report)
        add(*(f"{title}\n\n{_table(part, BASELINE, unit)}" for title, part in parts.items()))
    if what == "all":
        where = [f"trainer.accelerator={accelerator}", f"data.dir={data_dir}"]
        with tempfile.TemporaryDirectory() as outputs:
            for measured in (repeated, recipes):
                add(measured(where, Path(outputs), _report))
    if what != "train":
        read = predicting(data_dir, accelerator, config.rounds, _report)
        add(*(f"{title}\n\n{_table(part, 'torch, tensors', 's')}" for title, part in read.items()))
        parts, unit = (parts, unit) if parts else (read, "s")
    figures = {"settings": asdict(config), "machine": machine, "figures": parts, "unit": unit}
    write_text(out / "figures.json", json.dumps(figures, indent=2) + "\n")
    write_picture(out / "chart.png", Image.fromarray(bars(parts, unit)))
    sys.stdout.write("\n".join(sections))
    _report(f"table.md, figures.json and chart.png are in {shown(out)}")


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _table(part: Seconds, baseline: str, unit: str) -> str:
    digits = ",.0f" if unit == "images/s" else ".2f"
    rows = []
    for name, values in part.items():
        spread = f"{min(values):{digits}} to {max(values):{digits}}"
        rows.append((name, f"{median(values):{digits}}", spread, f"{ratio(values, part[baseline]):.2f}"))
    return markdown_table(("", f"{unit}, median", "lowest to highest", f"times {baseline}"), rows)
