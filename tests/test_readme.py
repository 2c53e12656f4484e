"""The commands of the documents do what they say."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Settings, variable
from tests.processes import Server, serving

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(language: str) -> list[str]:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line]


CURL = [line for line in commands("sh") if line.startswith("curl")]
DIGITS = [line for line in commands("sh") if line.startswith("digits ")]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def run(command: str, url: str = "") -> str:
    """Run a line of the README in the repository, with the installed command on the path."""
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    line = command.replace("localhost:8000", url).replace("curl ", "curl --silent --fail ", 1)
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_documented_commands_were_found() -> None:
    assert len(CURL) == 4
    assert len(DIGITS) == 2


@pytest.mark.parametrize("command", CURL)
def test_curl_gets_the_documented_answer(server: Server, command: str) -> None:
    answer = json.loads(run(command, server.url))
    prediction = answer["results"][0]["prediction"] if "results" in answer else answer
    assert (prediction["digit"], prediction["decision"]) == (7, "accept")


def test_the_first_answer_shown_is_the_one_given(server: Server) -> None:
    command, shown = [line for line in commands("console") if "seven.png" in line or line.startswith("{")]
    answer = json.loads(run(command.removeprefix("$ "), server.url))
    expected = json.loads(shown.replace("[...]", "[]").replace("{...}", "{}"))
    assert list(answer) == list(expected)
    for name in ("digit", "decision", "reasons"):
        assert answer[name] == expected[name]
    for name in ("confidence", "reject"):
        assert round(answer[name], 4) == expected[name]


@pytest.mark.parametrize("command", DIGITS)
def test_the_command_line_reads_the_examples(command: str) -> None:
    output = run(command)
    assert "seven.png" in output
    assert "7" in output


@pytest.mark.parametrize("verb", sorted(set(re.findall(r"python -m training (\w+)", README))))
def test_each_documented_verb_of_training_explains_itself(verb: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "training", verb, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "usage: python -m training" in done.stdout


def test_each_documented_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"(?:^|`|\$ )make ([a-z]+)", README, re.M)) <= targets


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "models").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(DIGITS_\w+)` \| ([^|]*) \|", text, re.M))
    assert set(rows) == {variable(field) for field in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, int | float | str) and field.default != "":
            assert (
                rows[variable(name)] == f"`{field.default:g}`"
                if isinstance(field.default, float)
                else f"`{field.default}`"
            )
