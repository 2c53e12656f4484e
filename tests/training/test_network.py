from pathlib import Path

import numpy as np
import pytest

from training.errors import RunError
from training.network import apply_temperature, load_keras_model, save_model


def test_an_eleventh_class_is_told_apart_and_leaves_ten_that_sum_to_one() -> None:
    logits = np.zeros((1, 11), np.float32)
    logits[0, 10] = np.log(10)
    probabilities, reject = apply_temperature(logits, 1.0)
    assert probabilities[0].tolist() == pytest.approx([0.1] * 10)
    assert reject.tolist() == pytest.approx([0.5])


def test_very_sure_logits_do_not_overflow() -> None:
    probabilities, reject = apply_temperature(np.full((1, 11), 1e4, np.float32), 0.05)
    assert np.isfinite(probabilities).all()
    assert np.isfinite(reject).all()


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nowhere.keras does not exist"):
        load_keras_model(tmp_path / "nowhere.keras")
    (tmp_path / "text.keras").write_text("no network")
    with pytest.raises(RunError, match=r"text.keras is no readable Keras model"):
        load_keras_model(tmp_path / "text.keras")


def test_a_network_that_cannot_be_written_whole_is_not_written(tmp_path: Path) -> None:
    class Large:
        def save(self, path: Path) -> None:
            path.write_text("half of it")
            raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match=r"model.keras cannot be written: No space left"):
        save_model(Large(), tmp_path / "model.keras")
    assert not (tmp_path / "model.keras").exists()
