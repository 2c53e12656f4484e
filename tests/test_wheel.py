"""The wheel: installed elsewhere, without the checkout, it answers with the model it carries."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import pictures

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    # The backend is installed with the development dependencies, so that building needs no network.
    done = subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return next(folder.glob("digits-*.whl"))


def test_the_wheel_carries_the_model_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "service/models/digits.onnx" in names
    assert "service/models/digits.json" in names
    assert {"service/models/columns.onnx", "service/models/columns.json"} <= set(names)
    assert "service/static/index.html" in names
    assert not [name for name in names if name.startswith(("tests/", "models/", "runs/", "data/"))]
    assert sum(entry.file_size for entry in zipfile.ZipFile(wheel).infolist()) < 3_000_000


def test_the_installed_wheel_reads_a_digit_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "seven.png").write_bytes(pictures.png(7))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DIGITS_")}
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "predict", "--format", "csv", "seven.png"],
        cwd=elsewhere,
        env=environ | {"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[1].startswith("seven.png,7,")
