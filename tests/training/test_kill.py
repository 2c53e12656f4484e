"""A training that is stopped by force goes on and ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.training.digits import write_npz
from training.__main__ import main
from training.data import load_dataset
from training.network import load_keras_model
from training.recipe import Recipe
from training.runs import Run
from training.train import train_run

RECIPE = Recipe("cnn_225k", epochs=40, batch_size=32, early_stopping=30, plateau=2, ema=0.9)
SETTINGS = ["--epochs", "40", "--set", "batch_size=32", "early_stopping=30", "plateau=2", "ema=0.9"]


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "training", "train", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop_at_random(process: subprocess.Popen[str], folder: Path, sign: signal.Signals, epochs: int) -> str:
    """Send a signal at some moment after so many epochs; returns what the process wrote to stderr."""
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        [run] = [Run(path) for path in folder.glob("*/")] or [None]
        if run and run.has("history") and len(run.read("history")["epochs"]) >= epochs:
            break
        time.sleep(0.01)
    time.sleep(random.random() * 0.2)
    assert process.poll() is None, "it ended before it could be stopped"
    os.kill(process.pid, sign)
    return process.communicate(timeout=60)[1]


def test_killed_at_random_moments_a_run_ends_with_the_weights_of_one_that_ran_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, runs = ["--data", str(write_npz(tmp_path / "mnist.npz", 400, 50))], tmp_path / "runs"
    process = start(*data, "--runs", str(runs), *SETTINGS)
    stop_at_random(process, runs, signal.SIGKILL, epochs=2)
    assert process.returncode == -signal.SIGKILL
    [folder] = runs.iterdir()
    stopped_after = len(Run(folder).read("history")["epochs"])
    process = start(*data, "--resume", str(folder))
    told = stop_at_random(process, runs, signal.SIGINT, epochs=stopped_after + 2)
    assert process.returncode == 130
    assert "--resume" in told
    assert "Traceback" not in told
    assert main(["train", *data, "--resume", str(folder)]) == 0
    straight = train_run(tmp_path / "straight", load_dataset(tmp_path / "mnist.npz"), RECIPE, seed=0)
    weights = [load_keras_model(run.model_path).get_weights() for run in (Run(folder), straight)]
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(*weights, strict=True))
    histories = [
        [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in run.read("history")["epochs"]]
        for run in (Run(folder), straight)
    ]
    assert histories[0] == histories[1]
    assert Run(folder).recipe == straight.recipe
