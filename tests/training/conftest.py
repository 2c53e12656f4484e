import pytest

from tests.training.digits import tiny_dataset
from training.data import Dataset
from training.recipe import Recipe
from training.runs import Run

TINY = Recipe("cnn_225k", epochs=6, batch_size=32)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests bring their own data, whatever the environment says."""
    monkeypatch.delenv("DIGITS_DATA_DIR", raising=False)
    monkeypatch.delenv("DIGITS_QMNIST_DIR", raising=False)


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
