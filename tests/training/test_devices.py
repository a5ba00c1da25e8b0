"""Without a usable GPU there is one line that says why, and what to do."""

import pytest
import torch

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
