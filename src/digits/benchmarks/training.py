"""How fast networks are trained, validation and TensorBoard included where there is any."""

import itertools
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from digits.benchmarks import ours, peers
from digits.benchmarks.round_robin import Contender, Report, Seconds, images_per_second
from digits.config.commands import BenchmarkConfig
from digits.experiments.composed import composed

BASELINE = "a bare loop over tensors"

PEER_IMAGES, LOADED_IMAGES = 30_000, 10_000
"""That others than this project train on in a turn, the second those with a DataLoader: less than a pass, so that a
round does not take minutes."""

BATCH_SIZES = {"cpu": [128], "gpu": [128, 512, 2048]}
"""Images, where they are not set."""


def training(config: BenchmarkConfig, data_dir: Path, accelerator: str, report: Report) -> dict[str, Seconds]:
    """Measure images/s of training.

    Args:
        config: the settings of conf/benchmark.yaml.
        data_dir: where MNIST is unpacked.
        accelerator: cpu or gpu.
        report: takes a line about how far it is.

    Returns:
        By title, by who was measured, the images/s of each round.
    """
    parts = {}
    with tempfile.TemporaryDirectory() as outputs:
        for model, batch_size in itertools.product(config.models, config.batch_sizes or BATCH_SIZES[accelerator]):
            where = [f"trainer.accelerator={accelerator}", f"data.dir={data_dir}", f"outputs_dir={outputs}"]
            typed = [
                f"model={model}",
                f"data.batch_size={batch_size}",
                f"trainer.max_epochs={config.rounds + 2}",
                *where,
            ]
            contenders = _contenders(typed, data_dir, model, batch_size, "cpu" if accelerator == "cpu" else "cuda")
            report(f"{model}, batch {batch_size}:")
            parts[f"{model}, batch {batch_size}"] = images_per_second(contenders, config.rounds, report)
    return parts


def _contenders(typed: list[str], data_dir: Path, model: str, batch_size: int, device: str) -> list[Contender]:
    """Return this project's training, by the settings typed, and what one would use instead."""
    images, loaded = (max(count // batch_size, 1) * batch_size for count in (PEER_IMAGES, LOADED_IMAGES))
    peer = {"model": model, "batch_size": batch_size, "images": images, "data_dir": str(data_dir), "device": device}
    loading = {**peer, "images": loaded}
    ways = [("", "augment=none", False), (", augment=handwriting", "augment=handwriting", False)]
    bare = [Contender(BASELINE, peers.bare, peer)]
    if device == "cuda":
        ways += [(", steps alone", "augment=none", True), (", steps not captured", "trainer.capture=false", False)]
        if _can_compile():
            bare.append(Contender(f"{BASELINE}, compiled", peers.bare, {**peer, "compiled": True}))
    own = []
    for number, (what, way, steps_alone) in enumerate(ways):
        settings = composed([*typed, way, f"run_name={number}"])
        own.append(Contender(f"this project{what}", ours.train, {"settings": settings, "steps_alone": steps_alone}))
    dataloaders = [
        Contender("torchvision's DataLoader", peers.examples, loading),
        Contender("the same in Lightning", peers.template, loading),
    ]
    return [*own, *bare, *dataloaders]


def _can_compile() -> bool:
    """Whether torch.compile has Triton, and the C compiler that Triton asks for."""
    return find_spec("triton") is not None and any(map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang")))
