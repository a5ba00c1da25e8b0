"""Comparing: what is run, what is collected, and what the table says."""

import re
from pathlib import Path

import pytest
from conftest import Command, Outcome
from drawn_pages import page, row
from PIL import Image
from run_folders import table

from digits import runs

pytestmark = pytest.mark.slow


@pytest.fixture
def compare(command: Command, tiny: list[str], tmp_path: Path) -> Command:
    """Run compare.py on small runs."""

    def run(*arguments: str, code: int = 0) -> Outcome:
        settings = f"settings=[{','.join(tiny)}]"
        return command("compare", f"outputs_dir={tmp_path / 'outputs'}", settings, *arguments, code=code)

    return run


def test_what_is_not_there_is_run_and_what_is_there_is_collected(compare: Command, tmp_path: Path) -> None:
    rows = "experiments=[model=sigmoid]"
    out = compare(rows, "seeds=[1,2]").out
    outputs, made = tmp_path / "outputs", tmp_path / "outputs" / "compare"
    names = ["model_sigmoid_seed1", "model_sigmoid_seed2"]
    assert sorted(one.name for one in (outputs / "sigmoid").iterdir()) == names
    assert sorted(one.name for one in made.iterdir()) == ["comparison.png", "table.csv", "table.md"]
    found = table(made / "table.csv")
    assert [one["experiment"] for one in found] == ["model=sigmoid"]
    single = [runs.read_figures(outputs / "sigmoid" / name) for name in names]
    accuracies = [one["test/accuracy"] for one in single]
    assert float(found[0]["test_accuracy"]) == pytest.approx(sum(accuracies) / 2, abs=1e-5)
    assert float(found[0]["test_accuracy_min"]) == pytest.approx(min(accuracies), abs=1e-5)
    assert found[0]["weights"] == "159010"
    for key, tag in (("val_accuracy", "val/accuracy"), ("test_nll", "test/calibrated/nll")):
        assert float(found[0][key]) == pytest.approx(sum(one[tag] for one in single) / 2, abs=1e-5)
    assert float(found[0]["training_seconds"]) > 0
    assert out == (made / "table.md").read_text(encoding="utf-8")
    links = re.findall(r"\[(\d)\]\((.*?)\)", out)
    assert [seed for seed, _ in links] == ["1", "2"]
    assert all((made / link / "model.onnx").exists() for _, link in links)
    with Image.open(made / "comparison.png") as picture:
        assert picture.width > 500

    assert compare(rows, "seeds=[1,2]").out == out
    assert sorted(one.name for one in (outputs / "sigmoid").iterdir()) == names


def test_a_stopped_comparison_goes_on(
    compare: Command, tmp_path: Path, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ("experiments=[model=sigmoid]", "seeds=[1]", f"settings=[{','.join(tiny)},trainer.max_epochs=2]")
    trained = Path("model.onnx")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("digits.training.run.finish", stop)
        compare(*rows, code=130)
    (stopped,) = (tmp_path / "outputs" / "sigmoid").iterdir()
    assert not (stopped / trained).exists()
    assert "going on from" in compare(*rows).err
    assert list((tmp_path / "outputs" / "sigmoid").iterdir()) == [stopped]
    assert (stopped / trained).exists()


def test_own_handwriting_is_read_with_every_run(compare: Command, tmp_path: Path) -> None:
    for name, digit in (("me/3_1.png", "3"), ("me/5_1.png", "5"), ("me/4_1.png", "7")):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        page(row(digit, left=40)).save(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "me" / "9_1.png").write_bytes(b"no picture")
    outcome = compare("experiments=['model=lenet5']", "seeds=[1]", f"pictures={tmp_path / 'pictures'}", code=2)
    assert "9_1.png" in outcome.err
    assert "own handwriting" in outcome.out
    (found,) = table(tmp_path / "outputs" / "compare" / "table.csv")
    assert float(found["own_handwriting"]) in (0, pytest.approx(1 / 3, abs=1e-5))


def test_a_run_whose_time_is_over_does_not_stop_the_others_and_a_long_row_has_a_short_name(
    compare: Command, tmp_path: Path
) -> None:
    keys = ("data.hard_example_fraction", "optimizer.weight_decay", "optimizer.learning_rate")
    long = " ".join(["model=sigmoid", *(3 * [f"{key}=0.25" for key in keys])])
    stopped = "model=sigmoid data.chunk_size=1 trainer.max_time=00:00"
    done = compare(f"experiments=[{stopped},{long}]", "seeds=[1]", code=2)
    assert done.err.endswith(f"error: {stopped}, seed 1: stopped when trainer.max_time was over\n")
    (row,) = table(tmp_path / "outputs" / "compare" / "table.csv")
    assert row["experiment"] == long
    folders = (tmp_path / "outputs" / "sigmoid").iterdir()
    assert [len(folder.name) for folder in folders if (folder / "model.onnx").exists()] == [150 + len("_seed1")]


def test_a_run_that_fails_does_not_stop_the_others_nor_does_one_without_validation(
    compare: Command, tmp_path: Path, tiny: list[str]
) -> None:
    failing = "model=sigmoid data.val_size=9 data.own_fraction=0.1 data.own_digits=gone"
    rows = f"experiments=[{failing},model=sigmoid data.val_size=256,model=sigmoid data.val_size=0]"
    constant = [setting for setting in tiny if "val_size" not in setting]
    outcome = compare(rows, "seeds=[1]", f"settings=[{','.join(constant)}]", code=2)
    assert f"error: {failing}, seed 1: " in outcome.err
    assert "there is no such folder" in outcome.err
    assert outcome.out.count("\n") == 4
    validated, other = table(tmp_path / "outputs" / "compare" / "table.csv")
    assert 0 < float(validated["val_accuracy"]) < 1
    assert other["val_accuracy"] == ""
