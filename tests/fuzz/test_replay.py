"""What fuzzing found worth keeping stays answered as promised: every input of the corpus, once, in one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_no_kept_input_crashes_takes_a_second_or_passes_the_limit_of_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--replay"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-5000:]
    print(done.stdout)
