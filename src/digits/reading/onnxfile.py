"""What an .onnx file is made of, looked at before ONNX Runtime opens it.

ONNX is a protocol buffer: fields of a number and a value, of which some are such buffers themselves (onnx.proto). Read
here as far as it takes to refuse what a network from an image to ten probabilities does not need, and a stranger might
put there: other files' contents, loops, functions, and operations that make much of little.
"""

from collections.abc import Iterator

from digits.errors import UserError

MAX_FIELDS = 1_000_000
"""Ours have some hundreds."""

MODEL_GRAPH, MODEL_TRAINING, MODEL_FUNCTIONS = 7, 20, 25
GRAPH_NODE, GRAPH_TENSOR, GRAPH_SPARSE = 1, 5, 15
NODE_OPERATION, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSORS = (5, 10)
ATTRIBUTE_GRAPHS = (6, 11, 22, 23)
"""Graphs, and sparse tensors."""
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14
"""Numbers of fields, in onnx.proto."""

PARTS = {
    "model": {MODEL_GRAPH: "graph"},
    "graph": {GRAPH_NODE: "node", GRAPH_TENSOR: "tensor"},
    "node": {NODE_ATTRIBUTE: "attribute"},
    "attribute": dict.fromkeys(ATTRIBUTE_TENSORS, "tensor"),
    "tensor": {},
}
"""What each part has in it that is looked into, by the numbers of the fields."""

REFUSED = {"model": (MODEL_TRAINING, MODEL_FUNCTIONS), "graph": (GRAPH_SPARSE,), "attribute": ATTRIBUTE_GRAPHS}
"""What no part may have."""

OF_PICTURES = """
    Abs Add And ArgMax AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv DepthToSpace Div Dropout Elu
    Equal Erf Exp Flatten Floor Gather Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GroupNormalization
    HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu Less Log LogSoftmax MatMul Max
    MaxPool Mean Min Mul Neg Not Or PRelu Pad Pow ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceSum
    Relu Reshape Resize Round Selu Shape Sigmoid Sign Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub Sum
    Tanh Transpose Unsqueeze Where
"""
"""What networks that see pictures are made of."""

OPERATIONS = frozenset(OF_PICTURES.split())


def check(content: bytes, what: str) -> None:
    """Check that a file is a network that needs nothing but what is in it.

    Args:
        content: of the file.
        what: what it is called in an error.

    Raises:
        UserError: if it is not.
    """
    try:
        _check(memoryview(content), what)
    except (ValueError, IndexError) as error:
        raise UserError(f"{what}: not an ONNX file that can be run; give a run's folder or its model.onnx") from error


def _check(content: memoryview, what: str) -> None:
    for seen, (part, number, value) in enumerate(_walk(content)):
        if seen > MAX_FIELDS:
            raise UserError(f"{what}: has more than {MAX_FIELDS} fields; a model.onnx of this project has far fewer")
        if part == "tensor" and (number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and value != 0)):
            raise UserError(f"{what}: keeps its weights in another file; give a model.onnx that holds them itself")
        if number in REFUSED.get(part, ()):
            raise UserError(f"{what}: has functions, loops or sparse weights; give a network without them")
        if part == "node" and number in (NODE_OPERATION, NODE_DOMAIN) and isinstance(value, memoryview):
            name = bytes(value[:40]).decode(errors="replace")
            known = name in OPERATIONS if number == NODE_OPERATION else name in ("", "ai.onnx")
            if not known:
                raise UserError(f"{what}: has the operation {name!r}, which no network for pictures of digits needs")


def _walk(content: memoryview, part: str = "model") -> Iterator[tuple[str, int, memoryview | int]]:
    """Return the fields of a part and of those in it: what part, number, value."""
    for number, value in _fields(content):
        yield part, number, value
        if number in PARTS[part]:
            if not isinstance(value, memoryview):
                raise ValueError("a number in the place of a part")
            yield from _walk(value, PARTS[part][number])


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Return the fields of a buffer: number, and value, bytes or a number.

    Raises:
        ValueError, IndexError: if it is none.
    """
    place = 0
    while place < len(content):
        key, place = _number(content, place)
        kind = key & 7
        if kind == 0:
            value, place = _number(content, place)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size, place = _number(content, place)
        if size is None or place + size > len(content):
            raise ValueError("not a protocol buffer, or cut off")
        yield key >> 3, content[place : place + size]
        place += size


def _number(content: memoryview, place: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number without end")
