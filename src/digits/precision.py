"""The precision of a run that leaves it open: the one that is faster on this machine, measured once."""

import json
import time
from contextlib import suppress
from dataclasses import asdict, replace

import torch
from torch import Tensor

from digits import runs
from digits.config import TrainConfig, project_path
from digits.data.config import MOST_AT_ONCE
from digits.devices import Device
from digits.models.build import build
from digits.models.config import CLASSES, LBFGSConfig

FILE = "precision.json"
"""In the cache folder: what was measured, so that the same command computes in the same precision each time."""

GAIN = 1.1
"""How many times as fast bfloat16 must be to be taken; below that float32, which is exact, costs next to nothing."""

ROUNDS = 7


def resolved(settings: TrainConfig, device: Device) -> TrainConfig:
    """Give the settings with a precision in the place of `auto`.

    float32, but on a processor with bfloat16 instructions where these make the network's steps faster: some have them
    and are slower with them, and a fully connected network may be where a convolutional one is not.

    Raises:
        UserError: if the cache folder cannot be written.
    """
    if settings.trainer.precision != "auto":
        return settings
    capabilities = torch.cpu.get_capabilities()
    has_bfloat16 = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    exact = isinstance(settings.optimizer, LBFGSConfig)
    precision = "32-true" if device.accelerator != "cpu" or exact or not has_bfloat16 else _measured(settings)
    return replace(settings, trainer=replace(settings.trainer, precision=precision))


def _measured(settings: TrainConfig) -> str:
    size = min(settings.data.batch_size or MOST_AT_ONCE, MOST_AT_ONCE)
    processor = f"{torch.cpu.get_capabilities().get('cpu_name')}, {torch.get_num_threads()} threads"
    key = f"{processor}, torch {torch.__version__}, {size} images, {json.dumps(asdict(settings.model))}"
    path = project_path(settings.data.dir) / FILE
    known: dict[str, str] = {}
    with suppress(OSError, TypeError, ValueError):  # not there yet, or damaged: measured anew
        known = dict(json.loads(path.read_text(encoding="utf-8")))
    if known.get(key) not in ("32-true", "bf16-mixed"):
        with runs.user_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        known[key] = "bf16-mixed" if _gain(settings, size) > GAIN else "32-true"
        runs.write_text(path, json.dumps(known, indent=2) + "\n")
    return known[key]


def _gain(settings: TrainConfig, size: int) -> float:
    """Give how many times as fast as in float32 gradients are in bfloat16, by the fastest of some rounds in turn."""
    model = build(replace(settings, members=1))
    images, labels = torch.rand(size, 1, 28, 28), torch.arange(size) % CLASSES
    fastest = {False: float("inf"), True: float("inf")}
    for _ in range(ROUNDS):
        for bfloat16 in fastest:
            started = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                loss: Tensor = model.loss(model.outputs(images), labels)
            loss.backward()
            fastest[bfloat16] = min(fastest[bfloat16], time.perf_counter() - started)
            model.zero_grad()
    return fastest[False] / fastest[True]
