"""System programs that some tests drive: a browser, nginx, Prometheus."""

import os
import shutil

import pytest


def need(program: str) -> str:
    """The program's path; where it is missing the test is skipped with the reason, but never in CI."""
    path = shutil.which(program)
    if path is None:
        assert not os.environ.get("CI"), f"{program} is not installed; .ci/packages must name its package"
        pytest.skip(f"{program} is not installed")
    return path
