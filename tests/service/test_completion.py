"""The completion scripts, in the shells they are for."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.cli import main
from tests.programs import need

COMPLETE = {
    "bash": 'eval "$(cat)"; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _digits; echo "${COMPREPLY[@]}"',
    "zsh": 'emulate zsh; eval "$(cat)"; words=(%s); COMP_WORDS=($words); COMP_CWORD=$(($#words - 1)); '
    'setopt ksharrays; _digits; echo "${COMPREPLY[@]}"',
    "fish": 'source; complete -C "%s" | cut -f 1',
}


def completed(shell: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> set[str]:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    code = COMPLETE[shell] % (line.replace('""', "") if shell == "fish" else line)
    done = subprocess.run(
        [need(shell), "-c", code], input=script, capture_output=True, text=True, check=True, cwd=tmp_path,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path), "ZDOTDIR": str(tmp_path)},
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.mark.parametrize("shell", COMPLETE)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('digits ""', {"serve", "predict", "calibrate", "info", "completion"}),
        ("digits pre", {"predict"}),
        ("digits calibrate --tar", {"--target-error"}),
        ("digits predict --for", {"--format"}),
        ('digits predict --format ""', {"table", "jsonl", "csv"}),
        ("digits serve --wo", {"--workers"}),
        ('digits completion ""', {"bash", "zsh", "fish"}),
    ],
)
def test_a_shell_completes(
    shell: str, line: str, expected: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert completed(shell, line, tmp_path, capsys) == expected
