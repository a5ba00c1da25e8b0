"""requirements.txt pins, with hashes, what pyproject.toml asks for, and no file says where packages come from."""

import re
import subprocess
import tomllib

from packaging.requirements import Requirement

from digits.files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()


def test_the_lock_has_what_the_project_asks_for() -> None:
    pins: dict[str, list[str]] = {}
    for line in LOCK:
        pin = Requirement(line.split(" --hash")[0])
        pins.setdefault(pin.name, []).append(str(pin.specifier).removeprefix("=="))
    asked = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    for requirement in map(Requirement, asked):
        assert pins[requirement.name], requirement
        assert all(version in requirement.specifier for version in pins[requirement.name]), requirement


def test_every_pin_has_hashes() -> None:
    assert LOCK
    assert all(re.match(r"[\w.-]+(\[\w+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", line) for line in LOCK)


def test_malicious_releases_of_lightning_are_excluded() -> None:
    lightning = next(one for one in map(Requirement, PROJECT["project"]["dependencies"]) if one.name == "lightning")
    assert not any(lightning.specifier.contains(version) for version in ("2.6.2", "2.6.3"))


def test_no_file_names_a_package_registry() -> None:
    hosts = "|".join(("pypi" + r"\.org", "python" + r"hosted\.org", "download" + r"\.pytorch\.org"))
    found = subprocess.run(["git", "grep", "-lIE", hosts], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout == ""
    assert found.returncode == 1  # git's word for: looked, and found nothing
