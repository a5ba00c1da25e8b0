"""The walls of the house: a room imports only from rooms below it, and reading digits never loads the training side."""

import ast
import subprocess
import sys
from pathlib import Path

from digits.files import ROOT

DIGITS = ROOT / "src" / "digits"

LAYERS = [
    {"errors", "files", "processes", "runs"},
    {"config", "command_line"},
    {"formats"},
    {"handwriting"},
    {"reading"},
    {"web", "models"},
    {"data"},
    {"tracking"},
    {"training"},
    {"experiments"},
    {"benchmarks"},
]
"""The lowest first; a package may import from itself and from lower layers."""

WITHOUT_ORDER = {"errors", "files", "processes", "runs", "config", "command_line"}
"""Modules on the ground, which may import from each other but for circles."""

TRAINING_SIDE = ("torch", "torchvision", "lightning", "torchmetrics", "tensorboard", "matplotlib", "onnx", "onnxscript")


def room_of(module: str) -> str:
    return module.split(".")[1]


def imports(file: Path) -> set[str]:
    """The rooms of this package that a module imports from, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "digits":
            names |= {f"digits.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("digits."):
            names.add(node.module)
    return {room_of(name) for name in names}


def test_a_room_imports_only_from_rooms_below() -> None:
    layer_of = {room: number for number, layer in enumerate(LAYERS) for room in layer}
    rooms = {path.stem for path in DIGITS.iterdir() if path.suffix in ("", ".py") and not path.stem.startswith("__")}
    assert rooms == set(layer_of)
    upwards = [
        f"{file.relative_to(DIGITS)} imports {other}"
        for file in DIGITS.rglob("*.py")
        for room in (file.relative_to(DIGITS).parts[0].removesuffix(".py"),)
        for other in (imports(file) if room in layer_of else ())
        if other != room
        and layer_of[other] >= layer_of[room]
        and not (layer_of[other] == layer_of[room] and {room, other} <= WITHOUT_ORDER)
    ]
    assert upwards == []


def test_reading_never_loads_the_training_side() -> None:
    files = [file for room in ("reading", "handwriting", "web", "config") for file in (DIGITS / room).glob("*.py")]
    names = [".".join(file.relative_to(ROOT / "src").with_suffix("").parts) for file in files]
    assert "digits.reading.predict" in names
    program = f"""
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
print(sorted(set(sys.modules) & set({TRAINING_SIDE!r})))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_and_functions_fit_a_screen() -> None:
    for file in DIGITS.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert text.count("\n") <= 300, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 50, f"{file}: {node.name}"
