"""Every command in the README works; here on tiny data."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Command
from scipy.io import savemat

from digits.data import mnist
from digits.files import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
LINES = [line for block in BLOCKS for line in block.splitlines()]
SET_UP = "python3 -m venv .venv && . .venv/bin/activate && pip install uv && uv pip install -r requirements.txt && "
RUN_ELSEWHERE = {
    SET_UP + "pytest --cov": ".ci/run runs it, as it stands in the README; it is this test run",
    "pre-commit run --all-files": ".ci/run runs it",
    "python src/benchmark.py": "tests/benchmarks, with fewer images and rounds, as it starts processes of its own",
    "python src/benchmark.py what=predict": "tests/benchmarks",
    "python src/benchmark.py what=start": "tests/benchmarks",
    "python src/train.py -m hydra/launcher=submitit_local model=lenet5 seed=1,2": "tests/test_multirun.py",
    "torchrun --nproc-per-node=2 src/train.py trainer=ddp": "tests/test_distributed.py",
    "tensorboard --logdir outputs": "below, as a process of its own",
    "python src/draw.py": "tests/web/test_server.py, as a process of its own, until Ctrl-C",
}
NEEDS_NETWORK = ("uv pip compile",)
OURS = [line.removeprefix(SET_UP) for line in LINES if "python src/" in line and line not in RUN_ELSEWHERE]


def test_there_is_no_command_that_nothing_runs() -> None:
    others = [line for line in LINES if line.removeprefix(SET_UP) not in OURS and not line.startswith(NEEDS_NETWORK)]
    assert sorted(others) == sorted(RUN_ELSEWHERE)
    assert len(OURS) > 10


@pytest.fixture
def workplace(
    tmp_path: Path, finished: Path, draw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> list[str]:
    """A folder with the README's files in it, as the working directory; returns what makes a command tiny."""
    images, labels = mnist.read(data_dir, train=True)
    pixels, columns = images[:10_800].view(-1, 784).numpy(), labels[:10_800, None].numpy()
    savemat(tmp_path / "mnist-original.mat", {"data": pixels.T, "label": columns.T.astype(float)})
    for name, part in (("mnist_train.csv", slice(0, 800)), ("mnist_test.csv", slice(800, 900))):
        np.savetxt(tmp_path / name, np.hstack([columns[part], pixels[part]]), fmt="%d", delimiter=",")
    for name in ("my_digit.png", "page.jpg", "one.png", "two.jpg", "scans/a.png", "digits/me/7_1.png", "mine/7_1.png"):
        draw(name)
    np.savez(tmp_path / "images.npz", x=images[:20].numpy())
    outputs = tmp_path / "outputs"
    for copy in ("lenet5/2026-11-20_12-00-00", "lenet5/2026-11-20_13-00-00", "convnet/teacher"):
        shutil.copytree(finished, outputs / copy)
    monkeypatch.chdir(tmp_path)
    return [f"outputs_dir={outputs}"]


@pytest.mark.parametrize("line", OURS)
def test_every_command_of_ours_works(line: str, command: Command, workplace: list[str], tiny: list[str]) -> None:
    typed = re.sub(r'^eval "\$\((.*)\)"$', r"\1", line)
    python, script, *arguments = shlex.split(typed)
    name = Path(script).stem
    if "run_name=teacher" in arguments:
        shutil.rmtree(Path("outputs", "convnet"))  # what this command makes
    teaching = ["data.own_digits=mine", "data.steps_per_epoch=4"] if "experiment=my_hand" in arguments else []
    assert python == "python"
    assert (ROOT / script).exists()
    shorter = {"train": [*tiny, *teaching], "sweep": tiny, "compare": [f"settings=[{','.join(tiny)}]"]}
    shortened = [*shorter.get(name, []), *workplace] if "-sc" not in arguments else []
    fewer = {"compare": ["seeds=[1]"], "sweep": ["trials=1", "trainer.max_epochs=1"]}  # the last one counts
    outcome = command(name, *shortened, *arguments, *fewer.get(name, []))
    if "trainer.accelerator=gpu" in arguments and not torch.cuda.is_available():
        assert outcome.code == 2
        assert outcome.err.startswith("error: trainer.accelerator=gpu: ")
    else:
        assert outcome.code == 0, outcome.err


def test_tensorboard_shows_the_runs_by_readable_names(finished: Path) -> None:
    line = next(line for line in RUN_ELSEWHERE if line.startswith("tensorboard"))
    arguments = shlex.split(line)[1:]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tensorboard.main", *arguments, "--port", "0", "--load_fast", "false"],
        cwd=finished.parents[2],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        assert process.stderr is not None
        address = next(found[0] for line in process.stderr if (found := re.search(r"http://localhost:\d+/", line)))
        with urllib.request.urlopen(f"{address}data/runs", timeout=60) as answer:
            assert "lenet5/finished" in answer.read().decode()
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_commands_are_processes_that_work_from_anywhere(
    tiny: list[str], tmp_path: Path, draw: Callable[..., Path]
) -> None:
    def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "src" / script), *arguments, "outputs_dir=" + str(tmp_path / "outputs")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    trained = run("train.py", *tiny, "model=sigmoid")
    assert trained.returncode == 0, trained.stderr
    assert "Warning" not in trained.stderr
    assert "test accuracy" in trained.stderr
    draw("my digit.png")
    read = run("predict.py", "img=my digit.png")
    assert read.returncode == 0, read.stderr
    assert "my digit.png" in read.stdout
    assert sorted(file.name for file in tmp_path.iterdir()) == ["my digit.png", "outputs"]
