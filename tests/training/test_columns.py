"""The strings that the column network learns from, and its training."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from service.classifier import DigitClassifier
from service.columns import PAPER, ColumnReader
from service.settings import released_field_model, released_model
from service.strip import HEIGHT, STRIDE
from training import column_run
from training.column_release import release_columns
from training.column_run import ColumnRecipe, edit_distance
from training.columns import OPEN, Example, frame_targets, make_examples, pack
from training.data import Dataset, Digits
from training.drawing import draw_digits
from training.errors import ReleaseError, RunError
from training.freehand import write_many
from training.strings import Pool


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(Digits(*draw_digits(200, np.random.default_rng(0))))


def test_free_writing_keeps_its_boxes_in_the_picture(pool: Pool) -> None:
    for string in write_many(40, pool, np.random.default_rng(1)):
        assert len(string.boxes) == len(string.text)
        height, width = string.picture.shape
        for left, top, right, bottom in string.boxes:
            assert -3 <= left < right <= width + 3
            assert -3 <= top < bottom <= height + 3


def test_digits_are_drawn_in_the_share_that_is_asked_for() -> None:
    sevens = Pool(
        Digits(np.tile(draw_digits(10, np.random.default_rng(0))[0][:1], (50, 1, 1)), np.full(50, 7, np.uint8))
    )
    text = {
        share: "".join(string.text for string in write_many(30, sevens, np.random.default_rng(1), share))
        for share in (0.0, 0.5, 1.0)
    }
    assert set(text[0.0]) == {"7"}
    # Some numbers are plainly placed, and of these no digit is drawn.
    sevens_left = {share: found.count("7") / len(found) for share, found in text.items()}
    assert 1 > sevens_left[0.5] > sevens_left[1.0] > 0.3


def test_each_digit_has_its_own_run_of_frames() -> None:
    targets = frame_targets([4, 4, 1, 7], [(8, 22), (22, 34), (34, 38), (38, 52)], 64)
    runs = [value for index, value in enumerate(targets) if value not in (PAPER, OPEN) and targets[index - 1] != value]
    assert runs == [4, 4, 1, 7]
    assert targets[0] == targets[-1] == PAPER


def test_examples_are_most_of_the_strings_and_hold_their_digits(pool: Pool) -> None:
    examples = make_examples(30, pool, np.random.default_rng(2))
    assert len(examples) >= 24
    for example in examples:
        assert example.strip.shape == (HEIGHT, len(example.targets) * STRIDE)
        assert (example.targets[(example.targets >= 0)] <= PAPER).all()
        assert ((example.targets >= 0) & (example.targets < PAPER)).any()


def test_packing_loses_nothing() -> None:
    sizes = [96, 64, 128, 300]
    examples = [
        Example(np.full((HEIGHT, size), size % 251, np.uint8), np.full(size // 2, i, np.int8))
        for i, size in enumerate(sizes)
    ]
    pixels, targets = pack(examples, 256)
    assert pixels.shape == (2, HEIGHT, 256)
    assert [int((targets == i).sum()) for i in range(4)] == [48, 32, 64, 0]
    assert (targets == OPEN).sum() == 2 * 128 - 144


def test_edit_distance_counts_changed_lost_and_added_digits() -> None:
    assert edit_distance([1, 2, 3], [1, 2, 3]) == 0
    assert edit_distance([1, 2, 3], [1, 3]) == 1
    assert edit_distance([], [4, 4]) == 2
    assert edit_distance([1, 2], [2, 1]) == 2


def test_a_training_goes_on_where_it_was_interrupted(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_run, "SHARD", 40)
    monkeypatch.setattr(column_run, "KEEP_EVERY", 2)
    recipe = ColumnRecipe(strings=40, steps=4, rows=2, mixed=False)
    folder = column_run.start(tmp_path, dataset, recipe)

    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(column_run, "write_json", interrupt)
        with pytest.raises(Interrupted):
            column_run.train(folder, dataset)
    path = column_run.train(folder, dataset)
    assert [entry["step"] for entry in json.loads((folder / "history.json").read_text())["steps"]] == [2, 4]
    reader = ColumnReader.load(path)
    reader.warm_up()
    assert reader.record.calibration.thresholds == {"0.01": None, "0.005": None, "0.001": None}


def test_a_training_begins_with_the_weights_of_another_run(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_run, "SHARD", 40)
    recipe = ColumnRecipe(strings=40, steps=1, rows=2, mixed=False)
    first = column_run.start(tmp_path, dataset, recipe)
    rows = np.zeros((1, HEIGHT, 64), np.uint8)
    expected = ColumnReader.load(column_run.train(first, dataset)).log_probabilities(rows)
    still = ColumnRecipe(strings=40, steps=0, seed=2, mixed=False, init_from=str(first))
    other = column_run.ColumnTrainer(first, still)
    found = np.asarray(other.model(np.zeros((1, HEIGHT, 64, 1), np.float32), training=False))[:, 0]
    np.testing.assert_allclose(found - found[..., -1:], expected - expected[..., -1:], atol=1e-2)
    with pytest.raises(RunError, match="is missing"):
        column_run.start(tmp_path, dataset, ColumnRecipe(init_from=str(tmp_path / "none")))


def test_a_release_is_calibrated_and_measured_with_the_digit_network_beside_it(
    dataset: Dataset, tmp_path: Path
) -> None:
    shutil.copy(released_model(), tmp_path)
    record = release_columns(released_field_model(), dataset, "1.0.0", tmp_path, calibration=4, count=1)
    released = ColumnReader.load(tmp_path / "columns.onnx").record
    assert (released.version, released.sha256) == ("1.0.0", record["sha256"])
    assert released.calibration.weights == tuple(record["calibration"]["weights"])
    assert released.metrics["digit_model"] == ColumnReader.load(released_field_model()).record.metrics["digit_model"]
    assert json.loads((tmp_path / "columns.json").read_text()) == json.loads(json.dumps(record))
    # The released file itself is taken up again, as a new digit network asks for.
    again = release_columns(tmp_path / "columns.onnx", dataset, "1.0.1", tmp_path, calibration=4, count=1)
    assert again["training"] == record["training"]
    with pytest.raises(ReleaseError, match=r"not of the form 1\.2\.3"):
        release_columns(released_field_model(), dataset, "one", tmp_path, calibration=4, count=1)


def test_the_released_network_was_calibrated_with_the_released_digit_network() -> None:
    """Else: `python -m training columns --release models/columns.onnx --version ...`."""
    record = ColumnReader.load(released_field_model()).record
    assert record.metrics["digit_model"] == DigitClassifier.load(released_model()).record.sha256


def test_a_folder_that_is_no_run_is_told(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run of a column network"):
        column_run.train(tmp_path, dataset)
