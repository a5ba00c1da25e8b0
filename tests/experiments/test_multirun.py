"""Several runs from one command."""

from pathlib import Path

import pytest
import run_folders
from conftest import Command, Outcome

from digits import runs
from digits.training.run import Plan, fit

pytestmark = pytest.mark.slow


@pytest.fixture
def several(command: Command, tiny: list[str], tmp_path: Path) -> Command:
    """Run train.py -m on tiny data, into outputs/ of the test's folder."""

    def run(*arguments: str, code: int = 0) -> Outcome:
        constant = [*tiny, f"outputs_dir={tmp_path / 'outputs'}"]
        return command("train", "-m", *arguments, *constant, code=code)

    return run


def table(outputs: Path) -> tuple[Path, list[dict[str, str]]]:
    (folder,) = (outputs / "sweeps").iterdir()
    return folder, run_folders.table(folder / "table.csv")


def test_several_runs_have_a_folder_each_and_a_table(
    several: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = several("model=sigmoid,mlp", "seed=2,-1", "hydra.sweep.dir=outputs/sweeps/here", code=2)
    folder, rows = table(tmp_path / "outputs")
    assert [row["settings"] for row in rows[:2]] == ["model=sigmoid seed=2", "model=sigmoid seed=-1"]
    assert [bool(row["folder"]) for row in rows] == [True, False, True, False]
    assert done.err.splitlines()[-1] == "error: model=mlp seed=-1: seed=-1: must be 0 to 4294967295"
    for row in rows[::2]:
        assert (folder / row["folder"] / "model.onnx").is_file()
        assert 0 < float(row["test accuracy"].rstrip("%")) < 100
    assert rows[2]["folder"].startswith("mlp/2_seed=2")
    assert done.out.startswith((folder / "table.md").read_text(encoding="utf-8"))
    assert sorted(one.name for one in folder.iterdir()) == ["mlp", "multirun.yaml", "sigmoid", "table.csv", "table.md"]
    assert runs.newest_finished(str(tmp_path / "outputs")) == folder / rows[2]["folder"]


def test_the_jobs_of_a_launcher_are_processes_with_one_table(several: Command, tmp_path: Path) -> None:
    done = several("hydra/launcher=submitit_local", "model=sigmoid", "seed=-1,-2", code=2)
    _, rows = table(tmp_path / "outputs")
    assert [row["validation accuracy"] for row in rows] == ["failed", "failed"]
    assert done.err.splitlines()[-1] == "error: seed=-2: seed=-2: must be 0 to 4294967295"


def test_two_that_start_in_the_same_second_have_a_folder_each(several: Command, tmp_path: Path) -> None:
    same = f"hydra.sweep.dir={tmp_path / 'outputs' / 'sweeps' / 'now'}"
    for _ in range(2):
        several(same, "seed=-1", code=2)
    folders = sorted((tmp_path / "outputs" / "sweeps").iterdir())
    assert [one.name for one in folders] == ["now", "now_2"]
    for folder in folders:
        assert (folder / "table.md").is_file()


def test_a_crash_shows_its_traceback_and_stops_no_other(
    several: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr("digits.training.run.fit", crash)
        done = several("model=sigmoid", "seed=1,2", code=1)
    _, rows = table(tmp_path / "outputs")
    assert [row["validation accuracy"] for row in rows] == ["failed", "failed"]
    assert done.err.count("Traceback") == 2
    assert done.err.splitlines()[-1] == "error: seed=2: RuntimeError: broken"


def test_a_folder_that_cannot_be_made_is_one_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = command("train", "-m", "seed=1,2", f"outputs_dir={tmp_path / 'file'}", code=2)
    assert done.err.splitlines()[-1].endswith("cannot be written (Not a directory)")


@pytest.mark.parametrize("override", ["resume=auto", "run_name=a", "start_from=auto", "trainer.strategy=ddp"])
def test_what_depends_on_other_runs_is_refused(several: Command, override: str) -> None:
    done = several("model=sigmoid", "seed=1,2", override, code=2)
    assert done.err.count(f"{override}: must be ") == 2


def test_a_job_whose_time_is_over_stops_no_other(several: Command, tmp_path: Path) -> None:
    done = several("model=sigmoid", "data.chunk_size=1", "trainer.max_time=00:00,null", "seed=1", code=2)
    _, rows = table(tmp_path / "outputs")
    assert [bool(row["folder"]) for row in rows] == [False, True]
    assert done.err.splitlines()[-1].endswith("stopped when trainer.max_time was over")


def test_ctrl_c_leaves_the_table_of_what_was_done(
    several: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(planned: Plan, *_: object) -> None:
        if planned.settings.seed == 2:
            raise KeyboardInterrupt
        fit(planned)

    monkeypatch.setattr("digits.training.run.fit", interrupted)
    done = several("model=sigmoid", "seed=1,2,3", code=130)
    _, rows = table(tmp_path / "outputs")
    assert [row["validation accuracy"] for row in rows][1:] == ["stopped"]
    assert rows[0]["validation accuracy"].endswith("%")
    assert "| stopped |" in done.out
