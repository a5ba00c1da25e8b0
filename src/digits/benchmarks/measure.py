"""Measure, and lay the figures beside each other: table, JSON and chart."""

import io
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from digits import devices, runs
from digits.benchmarks import commands, ours, peers
from digits.benchmarks.config import BenchmarkConfig
from digits.benchmarks.floor import floor, matrix_rate
from digits.benchmarks.turns import Contender, images_per_second, ratio
from digits.command_line import as_typed, checked
from digits.config import ROOT, TrainConfig, project_path
from digits.precision import resolved
from digits.reading.predict import folder as made_folder
from digits.reading.predict import write_picture
from digits.runs import shown
from digits.tracking.figures import bars

PEER_IMAGES = 30_000
"""That others than this project train on in a turn: half a pass, so that a round does not take minutes."""

Table = dict[str, list[float]]
"""By who was measured, the figure of each round."""


def benchmark(config: BenchmarkConfig) -> None:
    """Measure what the config names; write table.md, figures.json and chart.png, and show the table.

    Raises:
        UserError: if there is no such device, or nothing can be written.
    """
    device = devices.choose(config.accelerator, 1, "accelerator")
    out = project_path(config.outputs_dir) / "benchmark" if config.out is None else Path(config.out).expanduser()
    made_folder("out", out)
    machine = {
        "processor": f"{torch.cpu.get_capabilities().get('cpu_name')}, {os.cpu_count()} cores",
        "device": device.name,
        "system": platform.platform(),
        "python": platform.python_version(),
        **{library: version(library) for library in ("torch", "torchvision", "lightning", "onnxruntime", "numpy")},
    }
    say(f"on {device.name}, torch {machine['torch']}; rounds: {config.rounds}")
    measured = {"train": _training, "predict": commands.predicting, "start": commands.starting}[config.what]
    parts, notes = measured(config, device, say)
    unit = "images/s" if config.what == "train" else "s"
    text = io.StringIO()
    for title, (rates, baseline) in parts.items():
        text.write(f"\n{title}\n\n{_markdown(rates, baseline, unit)}")
    text.write("\n" + "".join(f"{line}\n" for line in notes))
    text.write("\n" + ", ".join(f"{key} {value}" for key, value in machine.items()) + "\n")
    found = {title: rates for title, (rates, _) in parts.items()}
    runs.write_text(out / "table.md", text.getvalue().lstrip())
    whole = {"settings": asdict(config), "machine": machine, "figures": found, "unit": unit, "notes": notes}
    runs.write_text(out / "figures.json", json.dumps(whole, indent=2) + "\n")
    write_picture(out / "chart.png", Image.fromarray(bars(found, unit)))
    sys.stdout.write(text.getvalue())
    say(f"table.md, figures.json and chart.png are in {shown(out)}")


def say(line: str) -> None:
    """Show a line about how far it is."""
    sys.stderr.write(f"{line}\n")


def _training(config: BenchmarkConfig, device: devices.Device, say: commands.Say) -> tuple[commands.Parts, list[str]]:
    """Measure images/s of training, validation and TensorBoard included where there is any."""
    where = "cpu" if device.accelerator == "cpu" else "cuda"
    data_dir = commands.mnist_folder(config)
    parts, notes = {}, []
    with tempfile.TemporaryDirectory() as outputs:
        for model in config.models:
            common = {"model": model, "batch_size": config.batch_size, "data_dir": str(data_dir), "device": where}
            arguments = {**common, "images": max(PEER_IMAGES // config.batch_size, 1) * config.batch_size}
            settings = {name: _settings(config, model, outputs, device, name) for name in ("none", "handwriting")}
            names = {"none": "this project", "handwriting": "this project, augment=handwriting"}
            contenders = [
                *(Contender(names[name], ours.train, {"settings": one}) for name, one in settings.items()),
                Contender("a bare loop over tensors", peers.bare, arguments),
                Contender("torchvision's DataLoader", peers.examples, arguments),
                Contender("the same in Lightning", peers.template, arguments),
            ]
            say(f"{model}:")
            rates = images_per_second(contenders, config.rounds, say)
            parts[f"{model}, batch {config.batch_size}, {settings['none'].trainer.precision}"] = (
                rates,
                "a bare loop over tensors",
            )
            precision = torch.bfloat16 if settings["none"].trainer.precision == "bf16-mixed" else torch.float32
            least = floor(peers.network(model), config.batch_size, where, precision)
            share = median(rates["this project"]) / least.images_per_second
            cost = 1 - ratio(rates[names["handwriting"]], rates["this project"])
            notes += [
                f"{model}: augment=handwriting costs {cost:.0%} of the speed",
                f"{model}: the floor is {least.images_per_second:,.0f} images/s, of which {share:.0%} is reached: "
                f"{least.operations / 1e6:.2f} Mflop and {least.bytes / 1e3:.0f} kB an image, at "
                f"{least.operations_per_second / 1e9:.0f} Gflop/s in matrix products and "
                f"{least.bytes_per_second / 1e9:.0f} GB/s in copies",
            ]
    flops = {str(one).removeprefix("torch."): matrix_rate(one, where) for one in (torch.float32, torch.bfloat16)}
    notes.append(", ".join(f"matrix products in {name}: {rate / 1e9:.0f} Gflop/s" for name, rate in flops.items()))
    return parts, notes


def _settings(config: BenchmarkConfig, model: str, outputs: str, device: devices.Device, augment: str) -> TrainConfig:
    typed = [
        f"model={model}",
        f"augment={augment}",
        f"data.batch_size={config.batch_size}",
        f"data.dir={project_path(config.data_dir)}",
        f"outputs_dir={outputs}",
        f"run_name={model}_{augment}",
        f"trainer.max_epochs={config.rounds + 2}",
        f"trainer.accelerator={'cpu' if device.accelerator == 'cpu' else 'gpu'}",
    ]
    GlobalHydra.instance().clear()  # the entry point's own, which has done its work
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = checked(compose("train", overrides=[as_typed(one) for one in typed]), TrainConfig)
    return resolved(settings, device)


def _markdown(rates: Table, baseline: str, unit: str) -> str:
    lines = [f"| | {unit}, median | lowest to highest | times {baseline} |", "|---|---|---|---|"]
    for name, values in rates.items():
        digits = ",.0f" if unit == "images/s" else ".2f"
        spread = f"{min(values):{digits}} to {max(values):{digits}}"
        lines.append(f"| {name} | {median(values):{digits}} | {spread} | {ratio(values, rates[baseline]):.2f} |")
    return "\n".join(lines) + "\n"
