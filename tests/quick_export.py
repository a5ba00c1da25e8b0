"""Write model.onnx without torch's exporter, from what it made of another network of the same settings."""

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from digits.models.classifier import DigitClassifier
from digits.reading.export import export
from digits.runs import whole

exported: dict[str, bytes] = {}
"""By the settings of the network."""


def quick_export(classifier: DigitClassifier, temperature: float, path: Path, metadata: dict[str, str]) -> None:
    """As export: the graph of an earlier one, with these weights and this temperature."""
    folded = any(True for _ in classifier.layers.buffers())  # into the weights, by torch
    if temperature == 1 or folded:  # torch leaves that division out
        export(classifier, temperature, path, metadata)
        return
    settings = f"{classifier.hparams['model']} {classifier.layers}"
    if settings not in exported:
        export(classifier, temperature, path, {})
        exported[settings] = path.read_bytes()
    model = onnx.load_from_string(exported[settings])
    values = {f"classifier.{name}": weights.detach().cpu().numpy() for name, weights in classifier.named_parameters()}
    divided_by = model.graph.node[-2].input[1]  # before the softmax
    values[divided_by] = np.array(temperature, dtype=np.float32)
    for tensor in model.graph.initializer:
        if tensor.name in values:
            tensor.CopyFrom(numpy_helper.from_array(values.pop(tensor.name), tensor.name))
    assert not values, f"torch exports {settings} in another way"
    onnx.helper.set_model_props(model, metadata)
    with whole(path) as temporary:
        onnx.save(model, temporary)
