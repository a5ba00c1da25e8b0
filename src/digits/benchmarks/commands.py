"""Whole commands, timed from Enter to the end, in turn."""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from digits import runs
from digits.benchmarks.config import BenchmarkConfig
from digits.benchmarks.turns import ratio
from digits.config import ROOT, project_path
from digits.data import mnist
from digits.devices import Device
from digits.errors import UserError

Say = Callable[[str], None]
"""Takes a line about how far it is."""

Parts = dict[str, tuple[dict[str, list[float]], str]]
"""By title, the seconds of each round by who was measured, and whom to compare with."""

TRAINING = "import lightning.pytorch, torch._dynamo"
"""What a run cannot do without: Lightning for training, torch._dynamo for writing model.onnx."""


FIT = "of it, the fit"


def mnist_folder(config: BenchmarkConfig) -> Path:
    """Give the cache folder, with MNIST in it.

    Raises:
        UserError: if it cannot be written.
    """
    folder = project_path(config.data_dir)
    try:
        mnist.prepare(folder)
    except UserError as error:
        raise UserError(str(error).replace("data.dir", "data_dir", 1)) from error
    return folder


def predicting(config: BenchmarkConfig, device: Device, say: Say) -> tuple[Parts, list[str]]:
    """Time the reading of MNIST's 70,000 images from an .npz, whole commands."""
    data_dir = mnist_folder(config)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mnist.npz"
        images = np.concatenate([mnist.read(data_dir, train)[0].numpy() for train in (True, False)])
        np.savez(file, x=images)
        accelerator = "cpu" if device.accelerator == "cpu" else "gpu"
        ours = ["predict.py", f"img={file}", "run=shipped", "format=csv", f"out={folder}/ours.csv"]
        commands = {
            "predict.py": [*ours, f"accelerator={accelerator}"],
            "torch, tensors": ["-m", "digits.benchmarks.readers", "tensors", str(file), f"{folder}/tensors.csv"],
            "torch, DataLoader": ["-m", "digits.benchmarks.readers", "loader", str(file), f"{folder}/loader.csv"],
        }
        seconds = _in_turn(commands, config.rounds, say)
    title = f"{len(images):,} images of 28x28 from an .npz to a table of answers"
    return {title: (seconds, "torch, tensors")}, []


def starting(config: BenchmarkConfig, device: Device, say: Say) -> tuple[Parts, list[str]]:
    """Time what a command takes until it works, and a whole quick run."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "digit.png"
        Image.fromarray(np.pad(np.full((60, 12), 255, np.uint8), ((20, 20), (44, 44)))).save(picture)
        fast = ["train.py", "experiment=fast/lenet5", "run_name=fast", f"data.dir={project_path(config.data_dir)}"]
        fast.append(f"trainer.accelerator={'cpu' if device.accelerator == 'cpu' else 'gpu'}")
        commands = {
            "python alone": ["-c", "pass"],
            "train.py --help": ["train.py", "--help"],
            "train.py with a wrong setting": ["train.py", "seed=x"],
            "predict.py of one picture": ["predict.py", f"img={picture}", "run=shipped"],
            "import torch": ["-c", "import torch"],
            TRAINING: ["-c", TRAINING],
            "train.py experiment=fast/lenet5": [*fast, f"outputs_dir={folder}"],
        }
        outputs = Path(folder) / "lenet5"
        seconds = _in_turn(commands, config.rounds, say, lambda: _fit(outputs))
    whole, imports = seconds["train.py experiment=fast/lenet5"], seconds[TRAINING]
    besides = [one - fit for one, fit in zip(whole, seconds[FIT], strict=True)]
    notes = [f"the whole quick run less its fit takes {ratio(besides, imports):.2f} times these imports"]
    return {"from Enter to the end": (seconds, TRAINING)}, [*notes, *_imports()]


def _fit(outputs: Path) -> float:
    """Give the seconds of the newest run's training with validation, and make room for the next."""
    folder = outputs / "fast"
    taken = sum(row["train/seconds"] for row in runs.read_metrics(folder))
    folder.rename(outputs / f"{time.time_ns()}")
    return taken


def _in_turn(
    commands: dict[str, list[str]], rounds: int, say: Say, after: Callable[[], float] | None = None
) -> dict[str, list[float]]:
    """Time commands in turn, one round to warm up; `after` gives one more figure of each round, FIT."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, arguments in commands.items():
            started = time.perf_counter()
            # S603 asks whether the command can be trusted: it is one of ours
            done = subprocess.run([sys.executable, *arguments], cwd=ROOT / "src", capture_output=True, check=False)  # noqa: S603
            if number:
                seconds[name].append(time.perf_counter() - started)
            wrong = name == "train.py with a wrong setting"
            if done.returncode != 2 * wrong:
                raise RuntimeError(f"{name}: {done.stderr.decode()}")
        fit = None if after is None else after()
        if number and fit is not None:
            seconds.setdefault(FIT, []).append(fit)
        say("warmed up" if number == 0 else f"round {number} of {rounds}")
    return seconds


def _imports() -> list[str]:
    """Say what the imports of a training run cost, by package (`python -X importtime`)."""
    command = [sys.executable, "-X", "importtime", "-c", "import digits.training"]
    done = subprocess.run(command, cwd=ROOT / "src", capture_output=True, text=True, check=True)  # noqa: S603  # ours, as above
    taken: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        own, _, name = line.removeprefix("import time:").split("|", 2) if line.count("|") == 2 else ("", "", "")
        if own.strip().isdigit():
            taken[name.strip().partition(".")[0]] += int(own)
    whole = sum(taken.values())
    most = ", ".join(f"{name} {microseconds / 1e6:.2f}" for name, microseconds in taken.most_common(10))
    return [f"importing digits.training: {whole / 1e6:.2f} s, of it {most}"]
