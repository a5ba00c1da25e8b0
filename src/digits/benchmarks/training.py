"""How fast networks are trained, validation and TensorBoard included where there is any."""

import tempfile
from pathlib import Path

from digits.benchmarks import ours, peers
from digits.benchmarks.round_robin import Contender, Report, Seconds, images_per_second
from digits.config.commands import BenchmarkConfig
from digits.experiments.composed import composed

BASELINE = "a bare loop over tensors"

PEER_IMAGES = 30_000
"""That others than this project train on in a turn: half a pass, so that a round does not take minutes."""


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
    device = "cpu" if accelerator == "cpu" else "cuda"
    parts = {}
    with tempfile.TemporaryDirectory() as outputs:
        for model in config.models:
            images = max(PEER_IMAGES // config.batch_size, 1) * config.batch_size
            arguments = {
                "model": model,
                "batch_size": config.batch_size,
                "images": images,
                "data_dir": str(data_dir),
                "device": device,
            }
            settings = {
                augment: composed(
                    [
                        f"model={model}",
                        f"augment={augment}",
                        f"data.batch_size={config.batch_size}",
                        f"data.dir={data_dir}",
                        f"outputs_dir={outputs}",
                        f"run_name={model}_{augment}",
                        f"trainer.max_epochs={config.rounds + 2}",
                        f"trainer.accelerator={accelerator}",
                    ]
                )
                for augment in ("none", "handwriting")
            }
            contenders = [
                Contender("this project", ours.train, {"settings": settings["none"]}),
                Contender("this project, augment=handwriting", ours.train, {"settings": settings["handwriting"]}),
                Contender(BASELINE, peers.bare, arguments),
                Contender("torchvision's DataLoader", peers.examples, arguments),
                Contender("the same in Lightning", peers.template, arguments),
            ]
            report(f"{model}:")
            parts[f"{model}, batch {config.batch_size}"] = images_per_second(contenders, config.rounds, report)
    return parts
