"""What docs/using.md shows is done here, against a running service."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli import main
from tests.processes import Server, serving
from tests.programs import need

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "using.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


LINES = [line.split("   #")[0] for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def run(server: Server, *command: str) -> str:
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    shown = [word.replace("http://localhost:8000", server.url) for word in command]
    done = subprocess.run(shown, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("line", LINES)
def test_each_line_for_the_shell_works(server: Server, line: str) -> None:
    output = run(server, need("bash"), "-c", line)
    expected = "90210" if "field" in line else "" if "completion" in line else "7"
    assert expected in output


@pytest.mark.parametrize("code", blocks("python"))
def test_each_program_works(server: Server, code: str) -> None:
    assert run(server, sys.executable, "-c", code).startswith("7")


def test_calibrate_prints_what_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two thousand readings; of the 250 least sure every tenth was wrong."""
    rows = [f"{1 - 0.0002 * n:.4f},{int(n < 1750 or n % 10 > 0)}" for n in range(2000)]
    path = tmp_path / "reviewed.csv"
    path.write_text("\n".join(["confidence,correct", *rows]), encoding="utf-8")
    [shown] = blocks("console")
    command, output = shown.split("\n", 1)
    assert command == "$ digits calibrate reviewed.csv"
    main(["calibrate", str(path)])
    assert capsys.readouterr().out == output


def test_everything_shown_was_found() -> None:
    assert (len(LINES), len(blocks("python"))) == (10, 2)


def test_the_picture_of_the_page_is_light() -> None:
    assert (ROOT / "docs" / "page.png").stat().st_size <= 150_000
