from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.classifier import DigitClassifier
from service.columns import ColumnReader
from service.reader import Reader
from service.settings import Settings

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def classifier() -> DigitClassifier:
    """The released model."""
    return DigitClassifier.load(Settings.from_env().model_path)


@pytest.fixture(scope="session")
def reader(classifier: DigitClassifier) -> Reader:
    """The released models."""
    return Reader(classifier, ColumnReader.load(Settings.from_env().field_model_path))


@pytest.fixture(scope="session")
def client() -> Iterator[TestClient]:
    """The application with its released model and default settings."""
    with TestClient(create_app(Settings.from_env()), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real photos and MNIST, which lie beside the checkout on the developers' machines only."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the development data are not beside this checkout")
    return folder
