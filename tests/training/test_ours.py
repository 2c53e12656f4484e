"""The network of our own keeps to its size, exports without leftovers, and answers alike in any company."""

import numpy as np
import pytest

from tests.training.digits import tiny_dataset
from training import curriculum
from training.architectures import ARCHITECTURES
from training.drawing import draw_digits

MAX_PARAMETERS = 250_000
MAX_BYTES = 1_000_000


@pytest.fixture(scope="module")
def graph():
    pytest.importorskip("tensorflow")
    from training.export import convert

    return convert(ARCHITECTURES["ours"].build(11), temperature=1.0)


def test_it_is_small(graph):
    assert ARCHITECTURES["ours"].parameters <= MAX_PARAMETERS
    assert len(graph.SerializeToString()) <= MAX_BYTES


def test_normalisation_is_folded_into_the_convolutions(graph):
    operations = {node.op_type for node in graph.graph.node}
    assert operations <= {"Cast", "Mul", "Reshape", "Conv", "Relu", "MaxPool", "Softmax", "Split"}


def test_an_answer_does_not_depend_on_its_neighbours(graph):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    images, _ = draw_digits(37, np.random.default_rng(0))
    together = session.run(None, {"image": images})
    for start, stop in ((0, 1), (1, 3), (3, 20), (20, 37)):
        for whole, part in zip(together, session.run(None, {"image": images[start:stop]}), strict=True):
            assert np.array_equal(whole[start:stop], part)


def test_its_recipe_trains_it(monkeypatch, tmp_path):
    from dataclasses import replace

    from training.train import train_run

    dataset = tiny_dataset(train=256, validation=50, test=10)
    stock = curriculum.make_stock(dataset.train, 40)
    monkeypatch.setattr(curriculum, "make_stock", lambda *_: stock)
    run = train_run(tmp_path, dataset, replace(ARCHITECTURES["ours"].recipe, epochs=2), seed=0)
    first, last = run.read("history")["epochs"]
    assert last["loss"] < first["loss"]
