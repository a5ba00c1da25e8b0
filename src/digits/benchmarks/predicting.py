"""How fast many images are read: whole commands, from Enter to the end, in turn."""

import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime

from digits.benchmarks import ours
from digits.benchmarks.round_robin import Report, Seconds
from digits.data import mnist
from digits.reading.reader import GPU


def predicting(data_dir: Path, accelerator: str, rounds: int, report: Report) -> dict[str, Seconds]:
    """Time the reading of MNIST's 70,000 images from an .npz.

    Args:
        data_dir: where MNIST is unpacked.
        accelerator: cpu, or gpu for the GPU too, where ONNX Runtime is built for it.
        rounds: how many are counted, after one to warm up.
        report: takes a line about how far it is.

    Returns:
        By title, by command, the seconds of each round.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mnist.npz"
        images = np.concatenate([mnist.read(data_dir, train).images.numpy() for train in (True, False)])
        np.savez(file, x=images)
        reading = ["predict.py", f"img={file}", "run=shipped", "format=csv", f"out={folder}/ours.csv"]
        commands = {
            "predict.py": reading,
            "torch, tensors": ["-m", "digits.benchmarks.readers", "tensors", str(file), f"{folder}/tensors.csv"],
            "torch, DataLoader": ["-m", "digits.benchmarks.readers", "loader", str(file), f"{folder}/loader.csv"],
        }
        if accelerator == "gpu" and GPU in onnxruntime.get_available_providers():
            commands["predict.py accelerator=gpu"] = [*reading, "accelerator=gpu"]
        seconds: Seconds = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, arguments in commands.items():
                started = time.perf_counter()
                ours.command(*arguments)
                if number:
                    seconds[name].append(time.perf_counter() - started)
            report("warmed up" if number == 0 else f"round {number} of {rounds}")
    return {f"{len(images):,} images of 28x28 from an .npz to a table of predictions": seconds}
