"""Which device a run uses, and in one line why it cannot be the GPU."""

import ctypes
import sys
from dataclasses import dataclass, replace

import torch

from digits.errors import UserError

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt (malloc.h)."""


def cuda_problem(index: int) -> str | None:
    """Compute something on NVIDIA GPU `index`; return in one line why that cannot be done, None where it can."""
    try:
        torch.ones(1, device=f"cuda:{index}").add(1).item()
    except (AssertionError, RuntimeError) as error:  # a CPU build of torch; no driver, GPU, memory, or code for it
        reason = str(error).splitlines()[0].split(". ")[0]
        advice = "look at nvidia-smi, and in the README at which torch is for which GPU"
        return f"there is no usable NVIDIA GPU ({reason}); {advice}"
    return None


@dataclass(frozen=True)
class Device:
    """What a run computes on."""

    accelerator: str
    """Lightning's name: cpu or cuda."""
    name: str
    """For people."""


def choose(accelerator: str, setting: str, index: int = 0) -> Device:
    """Choose the device.

    Args:
        accelerator: auto, cpu or gpu.
        setting: its key, to name it in an error.
        index: the number of the GPU, of those that CUDA_VISIBLE_DEVICES names.

    Raises:
        UserError: for gpu without a usable NVIDIA GPU.
    """
    cpu = Device("cpu", f"the CPU ({torch.get_num_threads()} threads)")
    if accelerator == "cpu":
        return cpu
    problem = cuda_problem(index)
    if problem is None:
        return Device("cuda", torch.cuda.get_device_name(index))
    if accelerator == "gpu":
        raise UserError(f"{setting}=gpu: {problem}; or use {setting}=cpu")
    if torch.cuda.device_count() > 0:
        return replace(cpu, name=f"{cpu.name}, because {problem}")
    return cpu


def keep_freed_memory() -> None:
    """Let the C library keep what torch frees on the CPU, instead of giving it back and asking for it at each step.

    Without this a step spends up to a third of its time on page faults. It holds for the whole process, and does
    nothing where the C library is not glibc.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(MMAP_THRESHOLD, 32 * 2**20)  # the largest that glibc takes
        library.mallopt(TRIM_THRESHOLD, 512 * 2**20)
