"""Several processes that train one network: what they make is what one process makes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
import torch
from conftest import Command, Train, settings
from run_folders import weights

from digits import runs
from digits.config.data import DistortionConfig
from digits.data.augmentation import Distortion
from digits.data.chunks import Chunk
from digits.errors import UserError
from digits.files import ROOT
from digits.training import devices
from digits.training.ddp import started_processes

DISTORTED = ["augment=handwriting"]


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_the_parts_are_the_whole(processes: int) -> None:
    config = cast(DistortionConfig, settings("augment=handwriting").augment)
    distortion = Distortion(config, 1, torch.device("cpu"))
    labels = torch.arange(30)
    params = tuple(distortion.draw(10, step, 1) for step in range(3))
    pictures = labels.view(-1, 1, 1).expand(-1, 28, 28).to(torch.uint8)
    whole = Chunk(pictures, labels, labels + 100, 10, distortion, params)
    parts = [list(whole.slice_of(rank, processes)) for rank in range(processes)]
    for step, batch in enumerate(whole):
        own = [part[step] for part in parts]
        assert sorted(torch.cat([one.labels for one in own]).tolist()) == batch.labels.tolist()
        for one in own:
            torch.testing.assert_close(one.images, batch.images[one.labels - 10 * step])  # by its own params
        means = torch.stack([one.labels.double().mean() for one in own])
        torch.testing.assert_close(means.mean(), batch.labels.double().mean())


def in_slurm(rank: str) -> dict[str, str]:
    """Return what srun would set for one of two processes on this machine."""
    job = {"SLURM_JOB_ID": str(10_000 + os.getpid() % 10_000), "SLURM_JOB_NAME": "digits", "SLURM_NTASKS": "2"}
    job |= {"SLURM_NODELIST": "127.0.0.1", "SLURM_NODEID": "0", "SLURM_NNODES": "1", "SLURM_NTASKS_PER_NODE": "2"}
    return {**job, "SLURM_PROCID": rank, "SLURM_LOCALID": rank}


@pytest.mark.slow
def test_two_processes_end_where_one_process_does(fit_tiny: Train, tiny: list[str], tmp_path: Path) -> None:
    # 6 mini-batches an epoch, the last one of 12 images
    own = [*DISTORTED, "data.batch_size=100", "data.chunk_size=2", "trainer.max_epochs=2"]
    alone = fit_tiny(*own, "run_name=alone")
    together = tmp_path / "outputs" / "lenet5" / "together"
    typed = [*tiny, *own, f"outputs_dir={tmp_path / 'outputs'}", "trainer=ddp", "run_name=together"]
    script = str(ROOT / "src" / "train.py")
    torchrun = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc-per-node=2", script]
    done = subprocess.run([*torchrun, *typed], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("on 2 processes, the CPU") == 1
    assert sorted(file.name for file in together.parent.iterdir()) == ["alone", "together"]
    assert sum(file.name.startswith("events") for file in together.iterdir()) == 1
    for one, other in zip(runs.read_metrics(alone), runs.read_metrics(together), strict=True):
        timeless = [key for key in one if "second" not in key]
        assert [other[key] for key in timeless] == pytest.approx([one[key] for key in timeless], abs=1e-4)
    for key, value in weights(alone).items():
        torch.testing.assert_close(weights(together)[key], value, rtol=1e-3, atol=1e-5)
    log = (together / "train.log").read_text(encoding="utf-8")
    assert log.count("epoch 2/2") == 1
    assert log.count("test accuracy") == 1


def test_srun_starts_processes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in in_slurm("1").items():
        monkeypatch.setenv(name, value)
    processes = started_processes(settings("trainer=ddp").trainer)
    assert (processes.size, processes.is_first, processes.command) == (2, False, ["srun", "python"])


def started_by_torchrun(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    names = ("RANK", "LOCAL_RANK", "GROUP_RANK", "TORCHELASTIC_RUN_ID")
    for name, value in {**dict.fromkeys(names, "0"), "WORLD_SIZE": str(processes)}.items():
        monkeypatch.setenv(name, value)


def test_processes_that_would_make_a_run_each_are_refused(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started_by_torchrun(monkeypatch, 2)
    done = command("train", f"outputs_dir={tmp_path}", code=2)
    assert done.err == "error: trainer.strategy=auto: must be ddp (trainer=ddp) for torchrun's 2 processes\n"


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["data.batch_size=128"], r"data\.batch_size=128: must be a multiple of 3, the number of processes"),
        (["model=convnet", "data.batch_size=129"], r"model=convnet: must be a network without batch normalisation"),
    ],
)
def test_too_many_processes_are_refused(monkeypatch: pytest.MonkeyPatch, typed: list[str], line: str) -> None:
    started_by_torchrun(monkeypatch, 3)
    wanted = settings("trainer=ddp", "trainer.accelerator=cpu", *typed)
    with pytest.raises(UserError, match=line):
        started_processes(wanted.trainer).check(wanted, devices.choose("cpu", "trainer.accelerator"))
