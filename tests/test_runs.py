"""Run folders: each run its own, and files whole."""

from pathlib import Path

import pytest
from conftest import Command

from digits import runs
from digits.errors import UserError
from digits.files import atomic_write, expanded, write_text


def test_a_run_name_is_not_used_twice(tmp_path: Path) -> None:
    folder = runs.create(str(tmp_path), "lenet5", "mine")
    (folder / "events.out.tfevents.1").write_bytes(b"")
    for file, right in (
        (None, "choose another name, or start it again: resume=auto"),
        (runs.LAST_CHECKPOINT, "choose another name, or go on with it: resume=.*mine"),
        (Path(runs.MODEL_FILE), "choose another name, or train it further: resume=.*mine trainer.max_epochs=N"),
    ):
        if file is not None:
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_bytes(b"")
        with pytest.raises(UserError, match=rf"run_name=mine: .*mine is there already; {right}"):
            runs.create(str(tmp_path), "lenet5", "mine", restart=file is not None)


def test_outputs_that_cannot_be_written_are_named(command: Command, tiny: list[str], tmp_path: Path) -> None:
    blocked = tmp_path / "outputs"
    blocked.write_text("a file where the folder should be")
    outcome = command("train", *tiny, f"outputs_dir={blocked}", code=2)
    assert outcome.err.startswith(f"error: outputs_dir={blocked}: cannot make")
    assert outcome.err.count("\n") == 1


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    write_text(target, "before")

    def fail_half_way() -> None:
        with atomic_write(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text(encoding="utf-8") == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]
    with pytest.raises(UserError, match="cannot be written"):
        write_text(tmp_path / "nowhere" / "file.txt", "text")


def test_through_a_link_what_it_leads_to_is_written(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "file.txt"
    link.symlink_to(target)
    for text in ("new", "once more"):
        write_text(link, text)
        assert link.is_symlink()
        assert target.read_text(encoding="utf-8") == text


def test_a_name_may_begin_with_a_tilde() -> None:
    assert expanded("~/runs") == Path.home() / "runs"
    assert expanded("~nobody.png") == Path("~nobody.png")


def test_relative_folders_are_the_projects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert runs.unfinished("outputs", "no such model") == []
    assert runs.newest_finished("outputs/no such folder") is None
    shown = runs.create(str(tmp_path / "here"), "lenet5", "one")
    (shown / runs.MODEL_FILE).write_bytes(b"")
    monkeypatch.setattr(runs, "project_path", lambda name: tmp_path / name)
    assert runs.newest_finished("here") == shown
