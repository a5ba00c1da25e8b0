"""The training side of the door: write a trained network as model.onnx, and take the weights of one."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from digits.errors import UserError
from digits.models.classifier import DigitClassifier
from digits.runs import user_errors, whole

LEAST = 1e-12
"""Of a probability whose logarithm is taken."""


class _Probabilities(nn.Module):
    """A classifier with its temperature and softmax behind it."""

    def __init__(self, classifier: DigitClassifier, temperature: float) -> None:
        super().__init__()
        self.classifier = classifier
        self.temperature = temperature

    def forward(self, image: Tensor) -> Tensor:
        """Give probabilities [N, 10] of images float32 [N, 1, 28, 28] in [0, 1]."""
        logits: Tensor = self.classifier(image)
        return (logits / self.temperature).softmax(dim=1)


def export_text(classifier: DigitClassifier, folder: Path) -> None:
    """Write the weights as text: Theta1.txt for the first layer, Theta2.txt for the next, and so on.

    A line is a unit: its bias, if it has one, then its weights; nine digits, which give back every float32.

    Raises:
        UserError: if a file cannot be written.
    """
    with user_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    layers = [layer for layer in classifier.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for number, layer in enumerate(layers, 1):
        columns = [layer.weight.flatten(1)] if layer.bias is None else [layer.bias[:, None], layer.weight.flatten(1)]
        with whole(folder / f"Theta{number}.txt") as temporary, temporary.open("w", encoding="ascii") as file:
            np.savetxt(file, torch.cat(columns, dim=1).detach().cpu().numpy(), fmt="%.9g")


def take_weights(classifier: DigitClassifier, path: Path) -> None:
    """Give a network the weights that a model.onnx has under the same names.

    Args:
        classifier: as the config in the file says.
        path: a file that a Reader took.

    Raises:
        UserError: if it has other weights.
    """
    tensors = {tensor.name: tensor for tensor in onnx.load(path, load_external_data=False).graph.initializer}
    state = classifier.state_dict()
    for name, layer in classifier.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            del state[f"{name}.num_batches_tracked"]
            if f"classifier.{name}.weight" not in tensors:  # it was made part of the convolution before it
                layer.reset_parameters()
                layer.get_buffer("running_var").fill_(1 - layer.eps)
                state = {one: value for one, value in state.items() if not one.startswith(f"{name}.")}
    with torch.no_grad():
        for name, parameter in state.items():
            tensor = tensors.get(f"classifier.{name}")
            if tensor is None or tuple(tensor.dims) != parameter.shape or tensor.data_type != onnx.TensorProto.FLOAT:
                raise UserError(f"start_from={path}: has no {name} of {list(parameter.shape)}; give one of train.py")
            parameter.copy_(torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()))


def mean_of(models: Sequence[onnx.ModelProto], temperature: float) -> onnx.ModelProto:
    """Give one network whose probabilities are the mean of the networks', at a temperature.

    Args:
        models: of `export`, from `image` to `probabilities`.
        temperature: what the logarithms of the mean probabilities are divided by.
    """
    made: list[onnx.GraphProto] = []
    for number, model in enumerate(models):
        graph = onnx.compose.add_prefix(model, f"{number}/").graph
        for node in graph.node:
            node.input[:] = ["image" if name == f"{number}/image" else name for name in node.input]
        made.append(graph)
    helper = onnx.helper
    names = [f"{number}/probabilities" for number in range(len(made))]
    nodes = [
        helper.make_node("Mean", names, ["mean"]),
        helper.make_node("Max", ["mean", "least"], ["above_zero"]),
        helper.make_node("Log", ["above_zero"], ["logarithms"]),
        helper.make_node("Div", ["logarithms", "temperature"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = {"least": LEAST, "temperature": temperature}
    tensors = [onnx.numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(
        [*(node for graph in made for node in graph.node), *nodes],
        "ensemble",
        models[0].graph.input,
        models[0].graph.output,
        [*(tensor for graph in made for tensor in graph.initializer), *tensors],
    )
    return helper.make_model(graph, opset_imports=models[0].opset_import, ir_version=models[0].ir_version)


def export(classifier: DigitClassifier, temperature: float, path: Path, metadata: dict[str, str]) -> None:
    """Write model.onnx, whole: `image`, float32 [N, 1, 28, 28] in [0, 1], to `probabilities`, float32 [N, 10].

    Args:
        classifier: the trained network; it normalises the image itself.
        temperature: what the logits are divided by.
        path: the file to write.
        metadata: what the file says of itself.

    Raises:
        UserError: if the file cannot be written.
    """
    network = _Probabilities(classifier, temperature).cpu().eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it counts its own fallbacks at length
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (FutureWarning, DeprecationWarning))  # torch's exporter about its own insides
        program = torch.onnx.export(
            network,
            (torch.zeros(2, 1, 28, 28),),
            input_names=["image"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("N")},),
            dynamo=True,
            verbose=False,
        )
    model = cast(torch.onnx.ONNXProgram, program).model_proto
    onnx.helper.set_model_props(model, metadata)
    with whole(path) as temporary:
        onnx.save(model, temporary)
