"""Which device a run uses, and in one line why it cannot be the GPU."""

import ctypes
import sys
from dataclasses import dataclass, replace

import torch

from digits.errors import UserError

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Of glibc's mallopt (malloc.h)."""


def cuda_problem(index: int) -> str | None:
    """Return in one line why NVIDIA GPU `index` cannot be used, None where it can."""
    if torch.version.cuda is None:
        version = torch.__version__
        return (
            f"this is a CPU build of torch ({version}); install the CUDA build that pytorch.org names for this machine"
        )
    try:
        torch.cuda.init()
    except RuntimeError as error:  # torch's own words: there is no driver, or it is too old
        reason = str(error).splitlines()[0].split(". ")[0]
        return f"no usable NVIDIA driver ({reason}); install or update it, or train with accelerator=cpu"
    count = torch.cuda.device_count()
    if count == 0:
        return "the NVIDIA driver shows no GPU; look at nvidia-smi and at CUDA_VISIBLE_DEVICES"
    if index >= count:
        return f"there is no GPU {index}; this machine has {count}, numbered from 0"
    major, minor = torch.cuda.get_device_capability(index)
    built_for = torch.cuda.get_arch_list()  # such as sm_75 sm_120 compute_120
    if not any(_runs(arch, major, minor) for arch in built_for):
        name = torch.cuda.get_device_name(index)
        return (
            f"{name} (compute capability {major}.{minor}) is too old for this build of torch, which is for "
            f"{' '.join(built_for)}; install one for it (README, GTX 10-series), or train with accelerator=cpu"
        )
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
        raise UserError(f"{setting}=gpu: {problem}")
    if torch.version.cuda is not None and torch.cuda.device_count() > 0:
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


def _runs(arch: str, major: int, minor: int) -> bool:
    """Whether code for arch runs on a GPU: sm_ code within its major version, compute_ code on all later ones too."""
    kind, _, number = arch.rstrip("af").partition("_")
    made_for = (int(number[:-1]), int(number[-1]))
    return made_for <= (major, minor) and (kind == "compute" or made_for[0] == major)
