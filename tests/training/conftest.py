import argparse
import time
from collections.abc import Iterator

import pytest

from tests.training.digits import tiny_dataset
from training import __main__ as command_line
from training.data import Dataset
from training.recipe import Recipe
from training.runs import Run

TINY = Recipe("cnn_225k", epochs=6, batch_size=32)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests bring their own data, whatever the environment says."""
    monkeypatch.delenv("DIGITS_DATA_DIR", raising=False)
    monkeypatch.delenv("DIGITS_QMNIST_DIR", raising=False)


SECONDS: dict[str, float] = {}


@pytest.fixture(scope="session", autouse=True)
def _verbs_are_timed() -> Iterator[None]:
    """What each verb of the command line takes in all tests together, told at the end of the session."""
    plain = command_line.build_parser

    def build_parser() -> argparse.ArgumentParser:
        parser = plain()
        [verbs] = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
        for name, verb in verbs.choices.items():
            verb.set_defaults(run_verb=timed(name, verb.get_default("run_verb")))
        return parser

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_line, "build_parser", build_parser)
        yield


def timed(verb, run):
    def run_verb(arguments: argparse.Namespace) -> None:
        started = time.perf_counter()
        try:
            run(arguments)
        finally:
            SECONDS[verb] = SECONDS.get(verb, 0.0) + time.perf_counter() - started

    return run_verb


def pytest_terminal_summary(terminalreporter) -> None:
    if not SECONDS:
        return
    told = ", ".join(f"{verb} {seconds:.1f}" for verb, seconds in sorted(SECONDS.items(), key=lambda item: -item[1]))
    count = len(SECONDS)
    terminalreporter.write_line(f"{count} verbs of training on tiny data: {sum(SECONDS.values()):.0f} s ({told})")


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return tiny_dataset()


@pytest.fixture(scope="session")
def exported_run(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Run:
    """One small run, trained, calibrated and exported; tests read it and change nothing in it."""
    from training.calibrate import calibrate_run, make_material
    from training.export import export_run
    from training.train import train_run

    run = train_run(tmp_path_factory.mktemp("runs"), dataset, TINY, seed=0, h5=True)
    calibrate_run(run, make_material(dataset))
    export_run(run, dataset.test)
    return run
