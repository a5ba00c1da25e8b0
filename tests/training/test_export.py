"""model.onnx: what the training side writes is what the reading side gets, and other files are refused."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from conftest import settings
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from digits import runs
from digits.data import mnist
from digits.errors import UserError
from digits.models.build import build_network
from digits.reading import reader
from digits.reading.reader import Reader
from digits.training import checkpoints
from digits.training.classifier import DigitClassifier


def test_it_gives_what_the_network_gives(finished: Path, data_dir: Path) -> None:
    config = settings("model=lenet5")
    model = DigitClassifier(build_network(config.model), config).eval()
    checkpoints.restore(model, config.model, finished / "checkpoints" / "best.ckpt")
    images = mnist.read(data_dir, train=False)[0][:500].float() / 255
    with torch.no_grad():
        temperature = runs.read_figures(finished)["val/temperature"]
        expected = (model(images[:, None]) / temperature).softmax(dim=1).numpy()
    found = Reader(finished / "model.onnx").probabilities(images.numpy())
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_it_says_what_it_is(finished: Path) -> None:
    found = onnxruntime.InferenceSession(finished / "model.onnx").get_modelmeta().custom_metadata_map
    assert found["model"] == "lenet5"
    assert "train_size: 6000" in found["config"]
    figures = runs.read_figures(finished)
    assert 0.8 < float(found["test/accuracy"]) < 1
    assert {tag: float(found[tag]) for tag in found if "/" in tag}.items() <= figures.items()
    assert found["seed"] == "1"
    assert found["command"].startswith("python ")
    assert Reader(finished / "model.onnx").threshold == figures["val/reject_below"]
    assert found["versions"].startswith("torch 2.")


def identity(path: Path) -> None:
    """An ONNX file of another kind: from x to itself."""
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", shape[:1], shape[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def network(path: Path, nodes: list[onnx.NodeProto], **tensors: NDArray[Any]) -> None:
    """Write a file that says of itself what ours do."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 28, 28])
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10])
    held = [numpy_helper.from_array(values, name) for name, values in tensors.items()]
    graph = helper.make_graph(nodes, "g", [image], [probabilities], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def model(**parts: Any) -> Callable[[Path], object]:
    """Return what writes a file with these parts of a graph or of a model."""
    functions = parts.pop("functions", [])
    content = onnx.ModelProto(graph=onnx.GraphProto(name="g", **parts), functions=functions).SerializeToString()
    return lambda path: path.write_bytes(content)


LOOP = onnx.AttributeProto(name="body", g=onnx.GraphProto(name="g"))
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "not an ONNX file that can be run"),
    "text": (lambda path: path.write_text("weights"), "not an ONNX file that can be run"),
    "other network": (identity, "is another kind of network"),
    "external data": (model(initializer=[TensorProto(data_location="EXTERNAL")]), "keeps its weights in another file"),
    "gigabytes": (
        model(node=[onnx.NodeProto(op_type="ConstantOfShape")]),
        "has the operation 'ConstantOfShape', which no network",
    ),
    "endless": (
        model(node=[onnx.NodeProto(op_type="Conv", attribute=[LOOP])]),
        "has functions, loops or sparse weights",
    ),
    "function": (model(functions=[onnx.FunctionProto(name="F")]), "has functions, loops or sparse weights"),
    "metadata that is no text": (
        lambda path: path.write_bytes(reader.SHIPPED.read_bytes().replace(b"val/reject_below", b"val/reject_belo\xff")),
        "not an ONNX file that can be run",
    ),
    "a part that is a number": (lambda path: path.write_bytes(b"\x38\x01"), "not an ONNX file that can be run"),
    "a number without end": (lambda path: path.write_bytes(b"\xff" * 20), "not an ONNX file that can be run"),
}


@pytest.mark.parametrize("kind", BAD)
def test_other_files_are_refused_in_one_line(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    write, message = BAD[kind]
    path = tmp_path / "model.onnx"
    write(path)
    with pytest.raises(UserError, match=message) as caught:
        Reader(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


MAKE_MUCH = {
    "convolution": helper.make_node("Conv", ["image", "many"], ["large"], kernel_shape=[1, 1]),
    "enlarging": helper.make_node("Resize", ["image", "", "scales"], ["large"], mode="nearest"),
}


@pytest.mark.parametrize("kind", MAKE_MUCH)
def test_what_computes_to_gigabytes_is_refused_when_it_is_asked(tmp_path: Path, kind: str) -> None:
    nodes = [
        MAKE_MUCH[kind],
        helper.make_node("ReduceMax", ["large", "axes"], ["most"], keepdims=1),
        helper.make_node("Reshape", ["most", "shape"], ["one"]),
        helper.make_node("MatMul", ["one", "ten"], ["probabilities"]),
    ]
    many = np.zeros((1_000_000, 1, 1, 1), dtype=np.float32)  # of each of 784 pixels makes 3 GB
    shape, axes, ten = np.array([-1, 1]), np.array([1, 2, 3]), np.ones((1, 10), dtype=np.float32)
    scales = np.array([1, 1, 1000, 1000], dtype=np.float32)
    network(tmp_path / "model.onnx", nodes, many=many, scales=scales, axes=axes, shape=shape, ten=ten)
    found = Reader(tmp_path / "model.onnx")
    with pytest.raises(UserError, match=r"cannot be computed \(takes more than 2147483648 bytes of memory\)"):
        found.probabilities(np.zeros((1, 28, 28), dtype=np.float32))
    assert Reader(reader.SHIPPED).probabilities(np.zeros((1, 28, 28), dtype=np.float32)).shape == (1, 10)


def test_another_number_of_answers_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMax", ["image", "axes"], ["most"], keepdims=1),
        helper.make_node("Reshape", ["most", "shape"], ["one"]),
        helper.make_node("MatMul", ["one", "ten"], ["probabilities"]),
    ]
    shape, axes, ten = np.array([1, 1]), np.array([0, 1, 2, 3]), np.ones((1, 10), dtype=np.float32)
    network(tmp_path / "model.onnx", nodes, axes=axes, shape=shape, ten=ten)
    with pytest.raises(UserError, match=r"gives \[1, 10\] for 2 images"):
        Reader(tmp_path / "model.onnx").probabilities(np.zeros((2, 28, 28), dtype=np.float32))


def test_a_file_far_too_large_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_MODEL", 10)
    (tmp_path / "model.onnx").write_bytes(b"12345678901")
    with pytest.raises(UserError, match="has 11 bytes"):
        Reader(tmp_path / "model.onnx")


def test_the_shipped_network_is_what_its_experiment_makes() -> None:
    shipped = Reader(reader.SHIPPED)
    assert shipped.metadata["command"] == "python src/train.py experiment=shipped"
    for seed, one in enumerate((shipped, *shipped.beside), 1):
        made_of, expected = yaml.safe_load(one.metadata["config"]), settings("experiment=shipped", f"seed={seed}")
        assert made_of["model"]["name"] == expected.model.name  # the settings' names have changed since it was made
        assert made_of["optimizer"]["learning_rate"] == expected.optimizer.learning_rate
        assert made_of["augment"]["elastic"] == vars(expected.augment)["elastic"]
        assert made_of["trainer"]["max_epochs"] == expected.trainer.max_epochs
        assert made_of["seed"] == expected.seed
        assert 0.1 < one.threshold < 1
        assert one.path.stat().st_size < 300_000
    assert float(shipped.metadata["test/accuracy"]) > 0.993


def test_what_the_shipped_three_say_on_the_mean_counts_and_is_right_more_often(tmp_path: Path, data_dir: Path) -> None:
    shipped, test_set = Reader(reader.SHIPPED), mnist.read(data_dir, train=False)
    images, labels = test_set.images.numpy(), test_set.labels.numpy()
    alone = [Reader(Path(shutil.copy(path, tmp_path))) for path in (reader.SHIPPED, *reader.SHIPPED_BESIDE)]
    said = np.stack([shipped.probabilities(images), *(one.probabilities(images) for one in alone)])
    right, *right_alone = (said.argmax(axis=2) == labels).mean(axis=1)
    assert np.allclose(said[0], said[1:].mean(axis=0), atol=1e-6)
    assert right > max(right_alone)
    assert shipped.threshold == max(one.threshold for one in alone)


@pytest.mark.parametrize("threshold", ["often", "inf", "nan", "-0.1"])
def test_a_threshold_that_is_no_probability_is_refused(tmp_path: Path, threshold: str) -> None:
    model = onnx.load(reader.SHIPPED)
    onnx.helper.set_model_props(model, {"val/reject_below": threshold})
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(UserError, match=f"says val/reject_below={threshold}; must be a number from 0 to 1"):
        _ = Reader(tmp_path / "model.onnx").threshold


@pytest.mark.parametrize("value", [float("nan"), -1.0, 40.0])
def test_what_gives_no_probabilities_is_refused(tmp_path: Path, value: float) -> None:
    nodes = [
        helper.make_node("ReduceMax", ["image", "axes"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "zero"], ["none"]),
        helper.make_node("Add", ["none", "fill"], ["probabilities"]),
    ]
    fill = np.full((1, 10), value, dtype=np.float32)
    network(tmp_path / "model.onnx", nodes, axes=np.array([2, 3]), zero=np.zeros(1, dtype=np.float32), fill=fill)
    with pytest.raises(UserError, match="gives what are no probabilities; must be 0 to 1, with a sum of 1 at most"):
        Reader(tmp_path / "model.onnx").probabilities(np.zeros((3, 28, 28), dtype=np.float32))
