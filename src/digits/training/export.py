"""ONNX export: write a trained network as model.onnx, and take the weights of one."""

import logging
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from digits.errors import UserError
from digits.files import atomic_write
from digits.handwriting.grouping import MULTIPLE
from digits.training.classifier import DigitClassifier
from digits.training.finder import PageFinder
from digits.training.loss import probabilities


class _Probabilities(nn.Module):
    """A network with its temperature and softmax behind it."""

    def __init__(self, classifier: DigitClassifier, temperature: float) -> None:
        super().__init__()
        self.network = classifier.network
        self.logits = classifier.output_loss.logits
        self.temperature = temperature

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities [N, 10] of images, float32 [N, 1, 28, 28] in [0, 1]."""
        return probabilities(self.logits(self.network(image)), self.temperature)


class _Ink(nn.Module):
    """The page network with the sigmoid of its ink."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability of ink and the votes."""
        logits, votes = self.network(picture)
        return logits.sigmoid(), votes


def export(classifier: DigitClassifier, temperature: float, path: Path, metadata: dict[str, str]) -> None:
    """Write model.onnx, whole: `image`, float32 [N, 1, 28, 28] in [0, 1], to `probabilities`, float32 [N, 10].

    Args:
        classifier: the trained network; it standardizes the image itself.
        temperature: what the logits are divided by.
        path: the file to write.
        metadata: what the file says of itself.

    Raises:
        UserError: if the file cannot be written.
    """
    shapes = {0: torch.export.Dim("N")}
    _write(_Probabilities(classifier, temperature), (2, 28, 28), shapes, ("image", "probabilities"), path, metadata)


def export_finder(finder: PageFinder, path: Path, metadata: dict[str, str]) -> None:
    """Write model.onnx, whole: `picture`, float32 [N, 1, height, width] in [0, 1], to `ink` and `votes`.

    The sides are multiples of 32; `ink` are the two probabilities, [N, 2, height, width], `votes` as models/pagenet.py
    says.

    Args:
        finder: the trained network.
        path: the file to write.
        metadata: what the file says of itself.

    Raises:
        UserError: if the file cannot be written.
    """
    down, across = torch.export.Dim("down"), torch.export.Dim("across")
    shapes = {0: torch.export.Dim("N"), 2: MULTIPLE * down, 3: MULTIPLE * across}
    _write(_Ink(finder.network), (2, 64, 96), shapes, ("picture", "ink", "votes"), path, metadata)


def _write(
    module: nn.Module,
    example: tuple[int, int, int],
    shapes: dict[int, Any],
    names: tuple[str, ...],
    path: Path,
    metadata: dict[str, str],
) -> None:
    """Write a module of one input, whose dimensions `shapes` may differ from the example's."""
    count, height, width = example
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it counts its own fallbacks at length
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (FutureWarning, DeprecationWarning))  # torch's exporter about its own insides
        program = torch.onnx.export(
            module.cpu().eval(),
            (torch.zeros(count, 1, height, width),),
            input_names=names[:1],
            output_names=names[1:],
            dynamic_shapes=(shapes,),
            dynamo=True,
            verbose=False,
        )
    model = cast(torch.onnx.ONNXProgram, program).model_proto
    onnx.helper.set_model_props(model, metadata)
    with atomic_write(path) as temporary:
        onnx.save(model, temporary)


def take_weights(network: nn.Module, path: Path) -> None:
    """Load into a network the weights that a model.onnx has under the same names.

    Args:
        network: as the config in the file says.
        path: a file that a Reader took.

    Raises:
        UserError: if it has other weights.
    """
    tensors = {  # named network.layers.0.weight; classifier.layers.0.weight in files of 2026
        tensor.name.partition(".")[2]: tensor for tensor in onnx.load(path, load_external_data=False).graph.initializer
    }
    state = network.state_dict()
    for name, layer in network.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            del state[f"{name}.num_batches_tracked"]
            if f"{name}.weight" not in tensors:  # it was made part of the convolution before it
                layer.reset_parameters()
                layer.get_buffer("running_var").fill_(1 - layer.eps)
                state = {key: value for key, value in state.items() if not key.startswith(f"{name}.")}
    with torch.no_grad():
        for name, parameter in state.items():
            tensor = tensors.get(name)
            if tensor is None or tuple(tensor.dims) != parameter.shape or tensor.data_type != onnx.TensorProto.FLOAT:
                raise UserError(f"start_from={path}: has no {name} of {list(parameter.shape)}; give one of train.py")
            parameter.copy_(torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()))


def export_text(network: nn.Module, folder: Path) -> None:
    """Write the weights as text into a folder: Theta1.txt for the first layer, Theta2.txt for the next, and so on.

    A line is a unit: its bias, if it has one, then its weights; nine digits, which give back every float32.

    Raises:
        UserError: if a file cannot be written.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for number, layer in enumerate(layers, 1):
        columns = [layer.weight.flatten(1)] if layer.bias is None else [layer.bias[:, None], layer.weight.flatten(1)]
        with atomic_write(folder / f"Theta{number}.txt") as temporary, temporary.open("w", encoding="ascii") as file:
            np.savetxt(file, torch.cat(columns, dim=1).detach().cpu().numpy(), fmt="%.9g")
