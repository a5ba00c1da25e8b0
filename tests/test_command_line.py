"""A user's mistake is one line and exit code 2, before anything heavy is loaded or anything is written."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Command

from digits.command_line import as_typed
from digits.files import ROOT

MISTAKES = {
    "trainer.max_epoch=3": "did you mean trainer.max_epochs?",
    "trainer.max_epochs=abc": "trainer.max_epochs=abc: must be a whole number",
    "trainer.max_epochs=1.5": "trainer.max_epochs=1.5: must be a whole number",
    "trainer.max_epochs=0": "trainer.max_epochs=0: must be 1 to",
    "trainer.max_epochs=null": "trainer.max_epochs=null: must be a whole number",
    "experiment=fast/lenet": "experiment=fast/lenet: there is no such experiment; choose one of fast/lenet5, fast/sigm",
    "model=lenet6": "model=lenet6: there is no such model; choose one of convnet, lenet5, mlp, sigmoid",
    "model=null": "model=null: a group takes a name",
    "modle=lenet5": "there is no setting modle; did you mean model?",
    "model.name=lenet6": "model.name=lenet6: must be one of convnet, lenet5, mlp, sigmoid",
    "model.hidden=[3]": "it is a setting of model=mlp or sigmoid",
    "optimizer.momentum=0.5": "it is a setting of optimizer=sgd",
    "optimizer.learning_rate=0": "optimizer.learning_rate=0.0: must be above 0",
    "optimizer.learning_rate=nan": "optimizer.learning_rate=nan: must be above 0",
    "optimizer.weight_decay=-1": "optimizer.weight_decay=-1.0: must be 0 or above",
    "schedule.warmup=1": "schedule.warmup=1.0: must be above 0 and below 1",
    "data.batch_size=0": "data.batch_size=0: must be 1 to 1000000000, or null",
    "data.chunk_size=0": "data.chunk_size=0: must be 1 to 1000000000, or null",
    "data.val_size=60000": "data.val_size=60000: must be 0 to 59999",
    "data.train_size=55001": "data.train_size=55001: must be 1 to 55000",
    "data.train_size=few": "data.train_size=few: must be a whole number or null",
    "trainer.accelerator=tpu": "trainer.accelerator=tpu: must be one of auto, cpu, gpu",
    "trainer.devices=2": "trainer.devices=2: must be 1, or the number of one GPU",
    "trainer.devices=[-1]": "trainer.devices=[-1]: must be 1, or the number of one GPU",
    "model=sigmoid,lenet5": "model=sigmoid,lenet5: is several values; add -m",
    "trainer.precision=8": "trainer.precision=8: must be one of 32-true, bf16-mixed, 16-mixed",
    "trainer.early_stopping.patience=0": "trainer.early_stopping.patience=0: must be 1 or above, or null",
    "trainer.early_stopping=3": "trainer.early_stopping=3: must be a group of settings",
    "seed=-1": "seed=-1: must be 0 to",
    "seed=${nothing}": "Interpolation key 'nothing' not found",
    "~seed": "seed: not given",
    "+speed=9": "there is no setting speed",
    "run_name=a/b": "run_name=a/b: must be a folder's name",
    "run_name=..": "run_name=..: must be a folder's name",
    "seed": "seed: sets nothing; write SETTING=VALUE, such as model=seed",
    "epochs=3": "there is no setting epochs; did you mean trainer.max_epochs?",
    "lr=0.1": "there is no setting lr; did you mean optimizer.learning_rate?",
    "gpu=1": "did you mean trainer.accelerator=gpu?",
    "train.max_epochs=3": "did you mean trainer.max_epochs?",
    "data.learning_rate=3": "did you mean optimizer.learning_rate?",
    "optimizer.ema=0.9": "there is no setting optimizer.ema; optimizer has name, learning_rate",
    "--epochs=3": "there is no such flag; a setting is written without dashes, such as trainer.max_epochs=3",
    "--cfg": "expected one argument",
    "seed=(1": "seed=(1: cannot be read as key=value",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_is_one_line(command: Command, tmp_path: Path, override: str) -> None:
    outputs = tmp_path / "outputs"
    outcome = command("train", f"outputs_dir={outputs}", override)
    assert outcome.code == 2
    assert outcome.err.startswith("error: ")
    assert MISTAKES[override] in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""
    assert not outputs.exists()


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["data.val_size=0", "trainer.early_stopping.patience=2"], "trainer.early_stopping.patience=2: must be null"),
        (["trainer.accelerator=cpu", "trainer.precision=16-mixed"], "trainer.precision=16-mixed: must be 32-true"),
        (["model=mlp", "model.hidden=[10,null]"], "must be a list of whole numbers"),
        (["model=mlp", "model.input_range=[]"], "model.input_range=[]: must be two finite numbers"),
        (["optimizer=lbfgs", "trainer.precision=bf16-mixed"], "trainer.precision=bf16-mixed: must be 32-true"),
        (["model=sigmoid", "model.hidden=[0]"], "model.hidden=[0]: must be a list of at most 100 layers of 1 to"),
        (["optimizer=sgd", "optimizer.momentum=1"], "optimizer.momentum=1.0: must be 0 to below 1"),
        (
            ["--epochs", "3"],
            "--epochs: there is no such flag; a setting is written without dashes, such as trainer.max_e",
        ),
        (["seed=1", "--cfg", "job", "seed=2"], "seed=2: settings stand together; write flags before or behind all"),
        (["--config-name", "nothing"], "Cannot find primary config 'nothing'"),
    ],
)
def test_settings_that_do_not_go_together(command: Command, overrides: list[str], line: str) -> None:
    outcome = command("train", *overrides)
    assert outcome.code == 2
    assert line in outcome.err
    assert outcome.err.count("\n") == 1


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
    outcome = command("predict", "seven.png")
    assert outcome.err == "error: seven.png: sets nothing; write SETTING=VALUE, such as img=seven.png\n"


def test_bash_completes_groups_and_settings(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    line = "python src/train.py model="
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    outcome = command("train", "-sc", "query=bash")
    assert outcome.out.split() == ["model=convnet", "model=lenet5", "model=mlp", "model=sigmoid"]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("img=photo (1).jpg", "img='photo (1).jpg'"),
        ("img=[a b.png,c.png]", "img=['a b.png','c.png']"),
        ("experiments=[a,'b c=1',d e=[2,3]]", "experiments=['a','b c=1','d e=[2,3]']"),
        ("settings=[a=1,b=[2,3]]", "settings=['a=1','b=[2,3]']"),
        ("img=it's.png", r"img='it\'s.png'"),
        ("img=[1].png", "img='[1].png'"),
        ("run=C:\\runs\\", r"run='C:\runs\\'"),
        ("img='already'", "img='already'"),
        ("run=null", "run=null"),
        ("seed=1", "seed=1"),
        ("--help", "--help"),
    ],
)
def test_paths_are_taken_as_typed(typed: str, read: str) -> None:
    assert as_typed(typed) == read


def test_ctrl_c_while_loading_is_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("digits.training.run.train", interrupted)
    assert command("train").code == 130
