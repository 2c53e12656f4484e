import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.training.digits import draw_digits, write_idx, write_npz
from training import data
from training.data import QMNIST_LABELS, load_dataset, read_idx, split_validation
from training.errors import DataError


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder laid out as MNIST is, published MD5 sums included."""
    for prefix, digits in (("train", draw_digits(200, 1)), ("t10k", draw_digits(50, 2))):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte.gz", digits.images)
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte.gz", digits.labels)
    monkeypatch.setattr(data, "MNIST_MD5", {name: data.md5(tmp_path / name) for name in data.MNIST_MD5})
    return tmp_path


def write_writers(folder: Path, labels: np.ndarray, writers: int) -> None:
    rows = np.zeros((len(labels), 8), np.int32)
    rows[:, 0] = labels
    rows[:, 2] = np.arange(len(labels)) % writers
    rows[:, 1] = 4 * (rows[:, 2] % 2)
    write_idx(folder / QMNIST_LABELS, rows)


def test_a_folder_of_idx_files_is_read_whole(mnist: Path) -> None:
    dataset = load_dataset(mnist)
    assert len(dataset.train) + len(dataset.validation) == 200
    assert len(dataset.test) == 50
    assert dataset.test.images.tobytes() == draw_digits(50, 2).images.tobytes()
    assert set(dataset.hashes) == set(data.MNIST_MD5)


def test_keras_npz_is_read_as_well(tmp_path: Path) -> None:
    dataset = load_dataset(write_npz(tmp_path / "mnist.npz", train=200, test=50))
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (180, 20, 50)


def test_without_writers_the_split_is_stratified_and_fixed() -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), 600)
    fit, held_out, record = split_validation(labels, None)
    again = split_validation(labels, None)
    assert record["method"] == "stratified"
    assert np.bincount(labels[held_out]).tolist() == [60] * 10
    assert len(np.intersect1d(fit, held_out)) == 0
    assert np.array_equal(held_out, again[1])


def test_mnists_stratified_split_holds_out_5000() -> None:
    _, held_out, record = split_validation(np.repeat(np.arange(10, dtype=np.uint8), 6_000), None)
    assert len(held_out) == record["validation"] == 5_000


def test_with_writers_beside_the_images_no_writer_is_on_both_sides(mnist: Path) -> None:
    labels = read_idx(mnist / "train-labels-idx1-ubyte.gz")
    write_writers(mnist, labels, writers=40)
    dataset = load_dataset(mnist)
    writer_of = {image.tobytes(): index % 40 for index, image in enumerate(draw_digits(200, 1).images)}
    sides = [{writer_of[image.tobytes()] for image in part.images} for part in (dataset.train, dataset.validation)]
    assert not sides[0] & sides[1]
    assert dataset.split["method"] == "by writer"
    assert (dataset.split["writers"], dataset.split["validation_writers"]) == (40, 4)


def test_writers_are_taken_evenly_from_both_series() -> None:
    writers = np.array([[0, w] for w in range(100)] + [[4, w] for w in range(1000, 1050)], np.int32)
    _, held_out, record = split_validation(np.zeros(150, np.uint8), writers)
    assert np.unique(writers[held_out, 0], return_counts=True)[1].tolist() == [10, 5]
    assert record["validation_writers"] == 15


def test_writers_of_other_images_are_refused(mnist: Path) -> None:
    write_writers(mnist, np.zeros(200, np.uint8), writers=40)
    with pytest.raises(DataError, match="labels other images"):
        load_dataset(mnist)


def test_a_missing_writers_file_that_was_asked_for_is_an_error(mnist: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        load_dataset(mnist, mnist / "nowhere")


def test_a_file_that_is_not_the_published_one_is_refused(mnist: Path) -> None:
    write_idx(mnist / "t10k-labels-idx1-ubyte.gz", np.zeros(50, np.uint8))
    with pytest.raises(DataError, match=r"t10k-labels.*not the published file.*MD5"):
        load_dataset(mnist)


def test_a_missing_file_is_named_with_the_remedy(mnist: Path) -> None:
    (mnist / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte.gz is missing.*python -m training data"):
        load_dataset(mnist)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        load_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"no gzip at all", "no complete gzip", id="no gzip"),
        pytest.param(gzip.compress(bytes(100))[:-20], "no complete gzip", id="truncated gzip"),
        pytest.param(gzip.compress(b"\x89PNG, not IDX"), "no IDX file", id="foreign"),
        pytest.param(gzip.compress(b"\0\0\x08\x03\0\0"), "ends inside its header", id="no header"),
        pytest.param(gzip.compress(b"\0\0\x08\x01\0\0\0\x05abc"), "says 13", id="too short"),
        pytest.param(gzip.compress(b"\0\0\x08\x01\0\0\0\x02abc"), "says 10", id="too long"),
    ],
)
def test_broken_idx_files_are_told_apart(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as failure:
        read_idx(path)
    assert "broken.gz" in str(failure.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "lacks an array"),
        ({"x_train": np.zeros((5, 32, 32), np.uint8), "y_train": np.zeros(5, np.uint8)}, "not uint8"),
        ({"x_train": np.zeros((5, 28, 28), np.uint8), "y_train": np.zeros(4, np.uint8)}, "5 images, but labels"),
        ({"x_train": np.zeros((2, 28, 28), np.uint8), "y_train": np.array([1, 10])}, "0 to 9"),
    ],
)
def test_an_npz_of_another_shape_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path / "other.npz")


def test_a_corrupt_npz_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "mnist.npz", 20, 10)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"mnist.npz is no readable"):
        load_dataset(path)
