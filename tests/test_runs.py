"""Run folders: each run its own, and files whole."""

from pathlib import Path

import pytest
from conftest import Command, Train

from digits import runs
from digits.errors import UserError


def test_a_run_name_is_not_used_twice(train_tiny: Train) -> None:
    train_tiny("run_name=mine")
    with pytest.raises(UserError, match=r"run_name=mine: .*mine is there already; .* resume="):
        train_tiny("run_name=mine")


def test_runs_of_the_same_second_get_their_own_folders(tmp_path: Path) -> None:
    folders = {runs.create(str(tmp_path), "lenet5", None) for _ in range(5)}
    assert len(folders) == 5


def test_outputs_that_cannot_be_written_are_named(command: Command, tiny: list[str], tmp_path: Path) -> None:
    blocked = tmp_path / "outputs"
    blocked.write_text("a file where the folder should be")
    outcome = command("train", *tiny, f"outputs_dir={blocked}")
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: outputs_dir={blocked}: cannot make")
    assert outcome.err.count("\n") == 1


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    runs.write_text(target, "before")

    def fail_half_way() -> None:
        with runs.whole(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text(encoding="utf-8") == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]
    with pytest.raises(UserError, match="cannot be written"):
        runs.write_text(tmp_path / "nowhere" / "file.txt", "text")


def test_relative_folders_are_the_projects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert runs.newest_unfinished("outputs", "no such model") is None
    assert runs.newest_finished("outputs/no such folder") is None
    shown = runs.create(str(tmp_path / "here"), "lenet5", "one")
    (shown / runs.MODEL_FILE).write_bytes(b"")
    monkeypatch.setattr(runs, "project_path", lambda name: tmp_path / name)
    assert runs.newest_finished("here") == shown
