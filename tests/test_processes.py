"""Processes that work for another one end with it, whatever ends it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from digits.files import ROOT
from digits.processes import workers

PARENT = """
import os, time
from digits.processes import start_workers

if __name__ == "__main__":
    workers = start_workers(1)
    print(workers.submit(os.getpid).result(), flush=True)
    workers.submit(time.sleep, 60)
    time.sleep(60)
"""


def is_running(process: int) -> bool:
    """Whether there is such a process, and not only its exit code, which nobody asked for yet."""
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(") ")[2][0] != "Z"


def ends(process: int) -> bool:
    deadline = time.monotonic() + 20
    while is_running(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(process)


def test_a_worker_ends_when_what_started_it_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        parent.kill()
    assert ends(worker)


def test_an_error_does_not_wait_for_what_workers_are_at() -> None:
    found: list[int] = []

    def interrupted() -> None:
        with workers(1) as processes:
            found.append(processes.submit(os.getpid).result())
            processes.submit(time.sleep, 600)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ends(found[0])
