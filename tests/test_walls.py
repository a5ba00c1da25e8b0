"""Reading digits never loads the training side; model.onnx is the only door."""

import subprocess
import sys

from digits.config import ROOT

FORBIDDEN = ("torch", "torchvision", "lightning", "torchmetrics", "tensorboard", "matplotlib", "onnx", "onnxscript")


def test_reading_never_loads_the_training_side() -> None:
    files = [
        file for room in ("reading", "handwriting", "web") for file in (ROOT / "src" / "digits" / room).glob("*.py")
    ]
    names = [".".join(file.relative_to(ROOT / "src").with_suffix("").parts) for file in files if file.stem != "export"]
    assert "digits.reading.predict" in names
    program = f"""
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
print(sorted(set(sys.modules) & set({FORBIDDEN!r})))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
