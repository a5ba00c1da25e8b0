"""Several networks trained at once as one batched network, whose members learn as each would alone."""

import copy
import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap


class Members(nn.Module):
    """Networks of one form, whose weights lie behind each other in one tensor for each name.

    In training every member has images of its own; else all see the same ones and are asked for one answer. On a CPU,
    where a batched convolution takes several times as long, networks with convolutions compute one after the other.

    Args:
        networks: from images to logits, alike but for their weights.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.count = len(networks)
        self.convolve = any(isinstance(layer, nn.Conv2d) for layer in networks[0].modules())
        parameters, buffers = stack_module_state(list(networks))
        self.names = {name.replace(".", "_"): name for name in (*parameters, *buffers)}
        for name, parameter in parameters.items():
            self.register_parameter(name.replace(".", "_"), nn.Parameter(parameter.detach()))
        for name, buffer in buffers.items():
            self.register_buffer(name.replace(".", "_"), buffer)
        form = copy.deepcopy(networks[0]).to("meta")
        self.form = (form,)  # in a tuple, so that its weights are not taken for this module's

    def forward(self, images: Tensor) -> Tensor:
        """Give logits.

        Args:
            images: float [members x N, 1, 28, 28] in training, one member's after the other's; else float
                [N, 1, 28, 28].

        Returns:
            In training [members x N, 10]; else [N, 10], the logarithm of the members' mean probabilities.
        """
        (form,) = self.form
        form.train(self.training)
        batched = images.is_cuda or not self.convolve
        weights = {name: getattr(self, flat) for flat, name in self.names.items()}
        own = images.unflatten(0, (self.count, -1)) if self.training else images

        def answer(state: dict[str, Tensor], some: Tensor) -> Tensor:
            return cast(Tensor, functional_call(form, state, (some,)))

        if batched:
            logits = vmap(answer, in_dims=(0, 0 if self.training else None))(weights, own)
        else:
            states = zip(*map(Tensor.unbind, weights.values()), strict=True)
            each = own if self.training else [images] * self.count
            one_by_one = zip(states, each, strict=True)
            logits = torch.stack([answer(dict(zip(weights, state, strict=True)), some) for state, some in one_by_one])
        return logits.flatten(0, 1) if self.training else together(logits)

    def member(self, place: int) -> nn.Module:
        """Give one of the networks, from 0, by itself."""
        alone = copy.deepcopy(self.form[0]).to_empty(device="cpu")
        alone.load_state_dict({name: getattr(self, flat)[place].detach() for flat, name in self.names.items()})
        return alone


class Ensemble(nn.Module):
    """Networks side by side, which give one answer.

    Args:
        networks: from images to logits.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> Tensor:
        """Give logits [N, 10], the logarithm of the networks' mean probabilities."""
        return together(torch.stack([network(images) for network in self.networks]))


def together(logits: Tensor) -> Tensor:
    """Give the logarithm of the mean probabilities, [N, 10], of logits [members, N, 10]."""
    return logits.log_softmax(dim=2).logsumexp(dim=0) - math.log(len(logits))
