"""Several processes, on one machine or many, that train one network together."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch.distributed
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from digits.config import TrainConfig, TrainerConfig
from digits.devices import Device
from digits.errors import UserError, require

Made = TypeVar("Made")


@dataclass(frozen=True)
class World:
    """The processes of a run, and which of them this is."""

    environment: ClusterEnvironment | None = None
    """What started them; None for a single one."""
    nodes: int = 1

    @property
    def size(self) -> int:
        """How many there are."""
        return 1 if self.environment is None else self.environment.world_size()

    @property
    def per_node(self) -> int:
        """How many there are on each machine."""
        return self.size // self.nodes

    @property
    def is_first(self) -> bool:
        """Whether this is the one that decides and writes."""
        return self.environment is None or self.environment.global_rank() == 0

    @property
    def card(self) -> int | None:
        """The number of this process's card on its machine, where there is one for each."""
        return None if self.environment is None else self.environment.local_rank()

    @property
    def processes(self) -> str:
        """How many there are, in words, where there are several."""
        return "" if self.environment is None else f"{self.size} processes, "

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
        size = settings.data.batch_size
        shared = self.size == 1 or (size is not None and size >= self.size)
        require(shared, "data.batch_size", size, f"at least {self.size}, the number of processes")
        name = settings.model.name
        right = "a network without batch normalisation, which torch has over several processes on cards only"
        require(self.size == 1 or name != "convnet" or device.accelerator == "cuda", "model", name, right)

    def join(self, device: Device) -> None:
        """Let the processes talk to each other; wait until all of them are there."""
        if self.environment is not None:
            os.environ["MASTER_ADDR"] = self.environment.main_address
            os.environ["MASTER_PORT"] = str(self.environment.main_port)
            backend = "nccl" if device.accelerator == "cuda" else "gloo"
            if backend == "nccl":
                torch.cuda.set_device(self.environment.local_rank())
            rank = self.environment.global_rank()
            torch.distributed.init_process_group(backend, rank=rank, world_size=self.size)

    def leave(self) -> None:
        """Part, so that each goes on by itself."""
        if self.environment is not None:
            torch.distributed.destroy_process_group()

    def decided(self, decide: Callable[[], Made]) -> Made:
        """Decide something in the first process, for all of them."""
        if self.environment is None:
            return decide()
        found = [decide() if self.is_first else None]
        torch.distributed.broadcast_object_list(found)
        return found[0]  # type: ignore[return-value]  # which is not None any more

    def first_alone(self, prepare: Callable[[], None]) -> None:
        """Do something in the first process, then in the others, which find in the cache what it made."""
        if self.environment is None:
            prepare()
            return
        for turn in (self.is_first, not self.is_first):
            if turn:
                prepare()
            torch.distributed.barrier()


def world_of(settings: TrainerConfig) -> World:
    """Give the processes that torchrun or SLURM started for a run.

    Raises:
        UserError: if nothing started them, or another number of them.
    """
    if settings.strategy != "ddp":
        started = int(os.environ.get("WORLD_SIZE", "1")) if TorchElasticEnvironment.detect() else 1
        require(
            started == 1, "trainer.strategy", settings.strategy, f"ddp (trainer=ddp) for torchrun's {started} processes"
        )
        return World()
    if TorchElasticEnvironment.detect():
        world = World(TorchElasticEnvironment(), settings.num_nodes)
    elif SLURMEnvironment.detect():
        world = World(SLURMEnvironment(auto_requeue=False), settings.num_nodes)
    else:
        command = "torchrun --nproc-per-node=2 src/train.py trainer=ddp"
        right = "a run by torchrun or srun, such as"
        raise UserError(f"trainer.strategy=ddp: needs {right} {command}; or trainer.strategy=auto, for one process")
    nodes, right = settings.num_nodes, f"a divisor of the {world.size} processes that were started"
    require(world.size % nodes == 0, "trainer.num_nodes", nodes, right)
    return world
