"""A user's mistake is one line and exit code 2, before anything heavy is loaded or anything is written."""

import subprocess
import sys

import pytest
from conftest import Command

from digits.command_line import as_typed
from digits.files import ROOT


@pytest.mark.parametrize("name", ["train", "evaluate", "predict", "compare"])
@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (["--help"], 0, "python src/"),
        (["-sc", "install=bash"], 0, "complete"),
        (["nothing=1"], 2, "no setting nothing"),
    ],
)
def test_help_completion_and_mistakes_load_nothing_heavy(
    name: str, arguments: list[str], code: int, shown: str
) -> None:
    heavy = "{'torch', 'lightning', 'torchvision', 'matplotlib', 'onnxruntime', 'scipy', 'numpy', 'PIL'}"
    program = f"""
import runpy, sys
sys.path.insert(0, 'src')
sys.argv = {[f"src/{name}.py", *arguments]!r}
try:
    runpy.run_path(sys.argv[0], run_name='__main__')
finally:
    print('heavy:', sorted({heavy} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "heavy: []" in done.stdout, done.stderr
    assert done.returncode == code
    assert shown in done.stdout + done.stderr


def test_a_word_that_sets_nothing_says_what_would(command: Command) -> None:
    outcome = command("predict", "seven.png", code=2)
    assert outcome.err == "error: seven.png: sets nothing; write SETTING=VALUE, such as img=seven.png\n"


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("img=photo (1).jpg", "img='photo (1).jpg'"),
        ("img=[a b.png,c.png]", "img=['a b.png','c.png']"),
        ("img=[a[b.png,c.png]", "img=['a[b.png','c.png']"),
        ("experiments=[a,'b c=1',d e=[2,3]]", "experiments=['a','b c=1','d e=[2,3]']"),
        ("settings=[a=1,b=[2,3]]", "settings=['a=1','b=[2,3]']"),
        ("img=it's.png", r"img='it\'s.png'"),
        ("img=[1].png", "img='[1].png'"),
        ("run=C:\\runs\\", r"run='C:\runs\\'"),
        ("pages=runs (1)/a.onnx", "pages='runs (1)/a.onnx'"),
        ("img='already'", "img='already'"),
        ("img='q'.png", r"img='\'q\'.png'"),
        (r"img=a\'b.png", r"img='a\\\'b.png'"),
        ("img=${seed}.png", r"img='\${seed}.png'"),
        ("run=null", "run=null"),
        ("seed=1", "seed=1"),
        ("--help", "--help"),
    ],
)
def test_paths_are_taken_as_typed(typed: str, read: str) -> None:
    assert as_typed(typed) == read


def test_several_values_of_a_path_are_for_several_runs() -> None:
    assert as_typed("data.path=a b.npz,c.npz", several=True) == "data.path='a b.npz','c.npz'"
    assert as_typed("start_from=null,shipped", several=True) == "start_from=null,'shipped'"
    assert as_typed("start_from='a,b',null", several=True) == "start_from='a,b',null"
    assert as_typed("data.path=a[b.npz,c.npz", several=True) == "data.path='a[b.npz','c.npz'"


def test_ctrl_c_while_loading_is_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("digits.training.run.train", interrupted)
    command("train", code=130)
