"""Several processes, on one machine or many, that train one network together (trainer=ddp)."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import torch.distributed
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch.nn.modules.batchnorm import _BatchNorm

from digits.config.train import TrainConfig, TrainerConfig
from digits.errors import UserError, require
from digits.models.build import build_network
from digits.training.devices import Device

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes of a run, and which of them this is."""

    environment: ClusterEnvironment | None = None
    """What started them; None for a single one."""

    @property
    def size(self) -> int:
        """How many there are."""
        return 1 if self.environment is None else self.environment.world_size()

    @property
    def nodes(self) -> int:
        """The machines that they are on, as many on each."""
        if isinstance(self.environment, TorchElasticEnvironment):
            return self.size // int(os.environ["LOCAL_WORLD_SIZE"])
        return int(os.environ.get("SLURM_NNODES", "1")) if self.environment else 1

    @property
    def per_node(self) -> int:
        """How many there are on each machine."""
        return self.size // self.nodes

    @property
    def is_first(self) -> bool:
        """Whether this is the one that decides and writes."""
        return self.environment is None or self.environment.global_rank() == 0

    @property
    def local_rank(self) -> int:
        """The number of this one on its machine, and of its GPU."""
        return 0 if self.environment is None else self.environment.local_rank()

    @property
    def command(self) -> list[str]:
        """What starts a script as this was started; over several machines, on each of them."""
        if isinstance(self.environment, TorchElasticEnvironment):
            return ["torchrun", f"--nproc-per-node={self.per_node}"]
        return ["python"] if self.environment is None else ["srun", "python"]

    def check(self, settings: TrainConfig, device: Device) -> None:
        """Check that so many can share each mini-batch.

        Raises:
            UserError: if they cannot.
        """
        size = settings.data.batch_size or 0
        require(size % self.size == 0, "data.batch_size", size, f"a multiple of {self.size}, the number of processes")
        if self.size == 1 or device.accelerator == "cuda":
            return
        has_batch_norm = any(isinstance(layer, _BatchNorm) for layer in build_network(settings.model).modules())
        expected = "a network without batch normalisation, which torch has over several processes on GPUs only"
        require(not has_batch_norm, "model", settings.model.name, expected)

    def join(self, device: Device) -> None:
        """Let the processes talk to each other; wait until all of them are there."""
        if self.environment is None:
            return
        os.environ["MASTER_ADDR"] = self.environment.main_address
        os.environ["MASTER_PORT"] = str(self.environment.main_port)
        backend = "nccl" if device.accelerator == "cuda" else "gloo"
        if backend == "nccl":
            torch.cuda.set_device(self.local_rank)
        torch.distributed.init_process_group(backend, rank=self.environment.global_rank(), world_size=self.size)

    def leave(self) -> None:
        """Part, so that each goes on by itself."""
        if self.environment is not None:
            torch.distributed.destroy_process_group()

    def decide(self, decision: Callable[[], T]) -> T:
        """Decide something in the first process, for all of them."""
        if self.environment is None:
            return decision()
        made = [decision() if self.is_first else None]
        torch.distributed.broadcast_object_list(made)
        return cast(T, made[0])

    def first_alone(self, prepare: Callable[[], None]) -> None:
        """Do something in the first process, then in the others, which find in the cache what it made."""
        for is_turn in (self.is_first, not self.is_first):
            if is_turn:
                prepare()
            if self.environment is not None:
                torch.distributed.barrier()


def started_processes(settings: TrainerConfig) -> Processes:
    """Return the processes that torchrun or SLURM started for a run.

    Raises:
        UserError: if nothing started them, or another number of them.
    """
    if settings.strategy != "ddp":
        started = int(os.environ.get("WORLD_SIZE", "1")) if TorchElasticEnvironment.detect() else 1
        expected = f"ddp (trainer=ddp) for torchrun's {started} processes"
        require(started == 1, "trainer.strategy", settings.strategy, expected)
        return Processes()
    if TorchElasticEnvironment.detect():
        return Processes(TorchElasticEnvironment())
    if SLURMEnvironment.detect():
        return Processes(SLURMEnvironment(auto_requeue=False))
    expected = "a run by torchrun or srun, such as torchrun --nproc-per-node=2 src/train.py trainer=ddp"
    raise UserError(f"trainer.strategy=ddp: needs {expected}; or trainer.strategy=auto, for one process")
