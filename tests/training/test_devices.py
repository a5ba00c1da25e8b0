"""Without a usable GPU there is one line that says why, and what to do."""

from pathlib import Path

import pytest
import torch
from conftest import Train

from digits.errors import UserError
from digits.training import devices

WITHOUT_GPU = pytest.mark.skipif(
    torch.cuda.is_available(), reason="this machine has a GPU, so asking for it is no mistake"
)


def test_a_usable_gpu_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cuda_problem", lambda _: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA GeForce GTX 1080")
    assert devices.choose("gpu", "key") == devices.Device("cuda", "NVIDIA GeForce GTX 1080")
    assert devices.choose("auto", "key").accelerator == "cuda"
    assert devices.choose("cpu", "key").accelerator == "cpu"


@WITHOUT_GPU
def test_a_gpu_that_cannot_be_used_is_named_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "because" not in devices.choose("auto", "key").name
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    automatic = devices.choose("auto", "key")
    assert automatic.accelerator == "cpu"
    assert "because there is no usable NVIDIA GPU (" in automatic.name


def test_half_precision_that_only_a_gpu_has_is_refused_where_there_is_none(
    fit_tiny: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(devices, "cuda_problem", lambda _: "there is none")
    with pytest.raises(UserError, match=r"trainer\.precision=16-mixed: must be 32-true or bf16-mixed on the CPU"):
        fit_tiny("trainer.precision=16-mixed", "trainer.accelerator=auto")
    assert not (tmp_path / "outputs").exists()
