"""Without a usable GPU there is one line that says which of the reasons it is, and what to do."""

import pytest
import torch
from conftest import Command

from digits.errors import UserError
from digits.training import devices


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Pretend that torch is a CUDA build and sees one GTX 1080, and that it is built for it."""
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA GeForce GTX 1080")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_60", "sm_70"])
    return monkeypatch


@pytest.mark.usefixtures("gpu")
def test_a_usable_gpu_is_chosen() -> None:
    assert devices.choose("gpu", "key") == devices.Device("cuda", "NVIDIA GeForce GTX 1080")
    assert devices.choose("auto", "key").accelerator == "cuda"
    assert devices.choose("cpu", "key").accelerator == "cpu"


@pytest.mark.parametrize(
    ("built_for", "usable"),
    [
        (["sm_61"], True),
        (["sm_50", "compute_50"], True),
        (["sm_50"], False),
        (["sm_62"], False),
        (["sm_75", "sm_120a", "compute_120"], False),
    ],
)
def test_code_for_a_gpu_is_recognised(gpu: pytest.MonkeyPatch, built_for: list[str], usable: bool) -> None:
    gpu.setattr(torch.cuda, "get_arch_list", lambda: built_for)
    assert (devices.cuda_problem(0) is None) is usable


def test_a_gpu_that_is_too_old_is_named(gpu: pytest.MonkeyPatch) -> None:
    gpu.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80"])
    with pytest.raises(UserError) as caught:
        devices.choose("gpu", "trainer.accelerator")
    line = str(caught.value)
    assert line.startswith("trainer.accelerator=gpu: NVIDIA GeForce GTX 1080 (compute capability 6.1) is too old")
    assert "sm_75 sm_80" in line
    assert "GTX 10-series" in line
    automatic = devices.choose("auto", "trainer.accelerator")
    assert automatic.accelerator == "cpu"
    assert "because NVIDIA GeForce GTX 1080" in automatic.name


def test_a_cpu_build_is_named(gpu: pytest.MonkeyPatch) -> None:
    gpu.setattr(torch.version, "cuda", None)
    with pytest.raises(UserError, match="this is a CPU build of torch"):
        devices.choose("gpu", "trainer.accelerator")
    assert "because" not in devices.choose("auto", "trainer.accelerator").name


def test_a_missing_driver_is_named(gpu: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise RuntimeError("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU")

    gpu.setattr(torch.cuda, "init", no_driver)
    gpu.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match=r"no usable NVIDIA driver \(Found no NVIDIA driver on your system\)"):
        devices.choose("gpu", "trainer.accelerator")


def test_gpus_that_are_not_there_are_named(gpu: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="there is no GPU 3; this machine has 1, numbered from 0"):
        devices.choose("gpu", "trainer.accelerator", index=3)
    gpu.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match="the NVIDIA driver shows no GPU"):
        devices.choose("gpu", "trainer.accelerator")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU, so asking for it is no mistake")
def test_the_command_says_it_in_one_line(command: Command, tiny: list[str]) -> None:
    outcome = command("train", *tiny, "trainer.accelerator=gpu")
    assert outcome.code == 2
    assert outcome.err.startswith("error: trainer.accelerator=gpu: ")
    assert outcome.err.count("\n") == 1
