"""Every command in every README works: about a dozen are run, on tiny data, and the others are composed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from conftest import Command, settings
from omegaconf import DictConfig, OmegaConf

from digits.command_line import checked
from digits.config.commands import CompareConfig
from digits.data import mnist
from digits.experiments.composed import runs_to_compare
from digits.files import ROOT

GENERATED = {".venv", ".pytest_cache", "outputs", "data"}
READMES = [file for file in ROOT.rglob("README.md") if file.relative_to(ROOT).parts[0] not in GENERATED]
TEXTS = [file.read_text(encoding="utf-8") for file in READMES]
BLOCKS = [block for text in TEXTS for block in re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]
LINES = sorted({line for block in BLOCKS for line in block.splitlines()})
SET_UP = "python3 -m venv .venv && . .venv/bin/activate && pip install uv && uv pip install -r requirements.txt && "
RUN_ELSEWHERE = {
    SET_UP + "pytest": ".ci/run runs it, as it stands in the README; it is this test run",
    "pre-commit run --all-files": ".ci/run runs it",
    "python src/benchmark.py": "tests/benchmarks, with fewer images and rounds, as it starts processes of its own",
    "python src/benchmark.py what=predict": "tests/benchmarks",
    "torchrun --nproc-per-node=2 src/train.py trainer=ddp": "tests/training/test_ddp.py",
    "tensorboard --logdir outputs": "below, as a process of its own",
    "python src/draw.py": "tests/web/test_server.py, as a process of its own, until Ctrl-C",
}
NEEDS_NETWORK = ("uv pip",)
RUN = (
    SET_UP + "python src/train.py model=lenet5",
    "python src/train.py model=lenet5 trainer.accelerator=gpu",
    "python src/train.py data.path=mnist_train.csv data.test_path=mnist_test.csv",
    "python src/train.py run_name=long resume=auto trainer.max_time=01:30:00",
    "python src/train.py experiment=my_hand start_from=shipped data.own_digits=digits/me",
    "python src/evaluate.py run=outputs/lenet5/2026-11-20_12-00-00",
    "python src/evaluate.py weights=thetas",
    "python src/predict.py img=my_digit.png",
    "python src/predict.py img=page.jpg annotate=page_read.png",
    "python src/predict.py 'img=scans/*.png' digits=one format=csv out=predictions.csv",
    "python src/predict.py 'img=[one.png,two.jpg]' format=json explain=steps",
    "python src/predict.py img=my_digit.png run=outputs/lenet5/2026-11-20_12-00-00 reject=false",
    "python src/predict.py img=images.npz format=csv out=predictions.csv",
    "python src/score.py pictures=digits",
)
COMPOSED = [line for line in LINES if "python src/" in line and line not in RUN and line not in RUN_ELSEWHERE]


def test_there_is_no_command_that_nothing_tries() -> None:
    others = [line for line in LINES if line not in COMPOSED and not line.startswith(NEEDS_NETWORK)]
    assert sorted(others) == sorted([*RUN_ELSEWHERE, *RUN])
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.fixture
def workplace(
    tmp_path: Path, finished: Path, draw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> list[str]:
    """A folder with the READMEs' files in it, as the working directory; returns what keeps a command there."""
    images, labels = mnist.read(data_dir, train=True)
    pixels, columns = images[:900].view(-1, 784).numpy(), labels[:900, None].numpy()
    for name, part in (("mnist_train.csv", slice(0, 800)), ("mnist_test.csv", slice(800, 900))):
        np.savetxt(tmp_path / name, np.hstack([columns[part], pixels[part]]), fmt="%d", delimiter=",")
    for name in ("my_digit.png", "page.jpg", "one.png", "two.jpg", "scans/a.png", "digits/me/7_1.png"):
        draw(name)
    np.savez(tmp_path / "images.npz", x=images[:20].numpy())
    shutil.copytree(finished, tmp_path / "outputs" / "lenet5" / "2026-11-20_12-00-00")
    monkeypatch.chdir(tmp_path)
    return [f"outputs_dir={tmp_path / 'outputs'}"]


@pytest.mark.slow
@pytest.mark.parametrize("line", RUN)
def test_a_command_works(line: str, command: Command, workplace: list[str], tiny: list[str]) -> None:
    _, script, *arguments = shlex.split(line.removeprefix(SET_UP))
    name = Path(script).stem
    teaching = ["data.steps_per_epoch=4"] if "experiment=my_hand" in arguments else []
    typed = [*(tiny if name == "train" else []), *teaching, *workplace, *arguments]
    lacks_gpu = "trainer.accelerator=gpu" in arguments and not torch.cuda.is_available()
    outcome = command(name, *typed, code=2 if lacks_gpu else 0)
    assert outcome.err.startswith("error: trainer.accelerator=gpu: ") == lacks_gpu


@pytest.mark.parametrize("line", COMPOSED)
def test_a_command_is_composed(line: str, command: Command) -> None:
    _, script, *arguments = shlex.split(line)
    assert (ROOT / script).exists()
    name = Path(script).stem
    if "-m" in arguments:
        single = [argument.partition(",")[0] for argument in arguments if argument != "-m"]
        assert settings(*(argument for argument in single if not argument.startswith("hydra/")))
        return
    outcome = command(name, *arguments, "--cfg", "job")
    if name == "compare":
        assert runs_to_compare(checked(cast(DictConfig, OmegaConf.create(outcome.out)), CompareConfig))


def test_links_lead_somewhere() -> None:
    for file, text in zip(READMES, TEXTS, strict=True):
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert link.startswith("http") or (file.parent / link).exists(), f"{file}: {link}"


@pytest.mark.slow
def test_tensorboard_shows_the_runs_by_readable_names(finished: Path) -> None:
    arguments = ["--logdir", "outputs", "--port", "0", "--load_fast", "false"]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tensorboard.main", *arguments],
        cwd=finished.parents[2],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        assert process.stderr is not None
        address = next(match[0] for line in process.stderr if (match := re.search(r"http://localhost:\d+/", line)))
        with urllib.request.urlopen(f"{address}data/runs", timeout=60) as answer:
            assert "lenet5/finished" in answer.read().decode()
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.slow
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
