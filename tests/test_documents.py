"""Every command that a document shows is executed by some test, unless it needs a container engine or a cluster."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import test_readme, test_using
from tests.programs import need
from tests.training.digits import write_npz

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "models").glob("*.md"), ROOT / "k8s" / "README.md"]
)
ELSEWHERE = {
    # A line begins with this: the file whose tests execute it.
    "make serve": "tests/service/test_server.py",
    "make test": ".ci/run",
    "digits calibrate reviewed.csv": "tests/test_using.py",
    "make data": "tests/training/test_download.py",
    "curl -s localhost:8000/v2/": "tests/test_k8s.py",
}
# An engine, a cluster, or an environment of its own: checkov pins other releases of what the service is made of.
NEEDS_MORE = ("docker ", "kubectl ", "(cd k8s/", "checkov ")
TRAINING = (".venv-dev/bin/python -m training", "make train", "make release")


def shown(document: Path) -> list[str]:
    """The lines for a shell in a document, without remarks and prompts; those ended by a backslash or within quotes joined."""
    blocks = re.findall(r"^```(sh|console)\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S)
    lines = [
        line.removeprefix("$ ")
        for language, block in blocks
        for line in block.splitlines()
        if language == "sh" or line.startswith("$ ")
    ]
    return [
        line.split("  #")[0].strip() for line in lines if line.strip() and not line.lstrip().startswith(("#", '\\"'))
    ]


def is_executed(line: str) -> bool:
    known = [*test_readme.CURL, *test_readme.DIGITS, *test_readme.commands("console"), *test_using.LINES]
    return line in {text.removeprefix("$ ").strip() for text in known} or line.startswith(
        (*ELSEWHERE, *NEEDS_MORE, *TRAINING)
    )


def test_every_command_shown_is_executed_somewhere() -> None:
    assert [f"{path.name}: {line}" for path in DOCUMENTS for line in shown(path) if not is_executed(line)] == []
    assert sum(len(shown(path)) for path in DOCUMENTS) > 25
    assert all((ROOT / path).is_file() for path in ELSEWHERE.values())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training needs of the repository, with tiny data and the environment that these tests run in."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("service", "training", "models"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv-dev").symlink_to(sys.prefix)
    write_npz(folder / "mnist.npz", train=1000, test=60)
    return folder


def test_the_way_from_data_to_a_release_goes_as_the_readme_shows_it(checkout: Path) -> None:
    lines = [line for line in shown(ROOT / "README.md") if line.startswith(TRAINING)]
    assert len(lines) == 6
    # Evaluating comes first in the text, of the model that is there; a network of one's own comes last.
    assert "% of 60 " in run(lines[0], checkout)
    for line in lines[1:5]:
        run(line, checkout)
    assert '"version": "1.0.0"' in (checkout / "models" / "digits.json").read_text(encoding="utf-8")
    for label in range(10):
        target = checkout / "cells" / str(label)
        target.mkdir(parents=True)
        for copy in range(4):
            shutil.copy(ROOT / "examples" / "seven.png", target / f"{copy}.png")
    assert "on validation" in run(lines[5], checkout)


def run(line: str, folder: Path) -> str:
    runs = sorted((folder / "runs").glob("*")) if (folder / "runs").is_dir() else []
    command = line.replace("runs/<id>", f"runs/{runs[-1].name}" if runs else "runs/none")
    command = re.sub(r"^make ", f"{need('make')} --assume-old .venv-dev/installed ", command)
    environ = os.environ | {
        "DIGITS_DATA_DIR": str(folder / "mnist.npz"),
        "DIGITS_QMNIST_DIR": "",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [need("bash"), "-c", command], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout + done.stderr
