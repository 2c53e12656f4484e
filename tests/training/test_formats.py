import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.reader import Digit, Reader, Timings
from tests import pictures
from tests.training.digits import draw_digits, write_idx, write_npz
from training.data import EMNIST, MNIST_MD5, Digits, hold_out, load_dataset
from training.errors import DataError
from training.formats import normalize_picture, read_csv


def write_emnist(folder: Path, train: Digits, test: Digits) -> None:
    """As EMNIST is published: rows and columns of each image exchanged."""
    for name, digits in zip(("train", "test"), (train, test), strict=True):
        write_idx(folder / f"emnist-digits-{name}-images-idx3-ubyte.gz", digits.images.swapaxes(1, 2))
        write_idx(folder / f"emnist-digits-{name}-labels-idx1-ubyte.gz", digits.labels)


def write_csv(path: Path, digits: Digits, header: bool = True) -> Path:
    lines = [",".join(["label", *(f"pixel{i}" for i in range(784))])] if header else []
    rows = np.column_stack([digits.labels, digits.images.reshape(len(digits), -1)])
    path.write_text("\n".join([*lines, *(",".join(map(str, row)) for row in rows.tolist())]) + "\n")
    return path


def write_pictures(folder: Path, copies: int = 4) -> Path:
    """Drawn digits in folders named by label."""
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for copy in range(copies):
            picture = pictures.draw(label, 60 + 10 * copy).rotate(3 * copy - 6, fillcolor=250)
            picture.save(folder / str(label) / f"{copy}.png")
    return folder


def test_emnist_is_turned_upright(tmp_path: Path) -> None:
    digits, held_out = draw_digits(60, 1), draw_digits(20, 2)
    write_emnist(tmp_path, digits, held_out)
    dataset = load_dataset(tmp_path)
    assert np.array_equal(dataset.test.images, held_out.images)
    assert len(dataset.train) + len(dataset.validation) == 60
    assert set(dataset.hashes) == {f"{name}.gz" for name in EMNIST}


def test_idx_files_need_not_be_packed(tmp_path: Path) -> None:
    digits = draw_digits(60, 1)
    for name in MNIST_MD5:
        packed = write_idx(tmp_path / name, digits.images if "images" in name else digits.labels)
        (tmp_path / name.removesuffix(".gz")).write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    assert np.array_equal(load_dataset(tmp_path).test.images, digits.images)


@pytest.mark.parametrize("header", [True, False])
def test_kaggles_csv_is_read_as_a_file(tmp_path: Path, header: bool) -> None:
    digits = draw_digits(40)
    read = read_csv(write_csv(tmp_path / "train.csv", digits, header))
    assert np.array_equal(read.images, digits.images)
    assert np.array_equal(read.labels, digits.labels)


def test_kaggles_csv_is_found_in_its_folder_and_gets_a_test_part(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", draw_digits(100))
    dataset = load_dataset(tmp_path)
    assert [len(dataset.part(name)) for name in ("train", "validation", "test")] == [80, 10, 10]
    assert np.bincount(dataset.test.labels).tolist() == [1] * 10
    assert dataset.split["test"] == 10
    assert set(dataset.hashes) == {"train.csv"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,name\n1,2\n", "expected: label, then 784 pixels"),
        ("label,a\n1,2\n", "1 rows of 2 values"),
        ("label,a\n1,x\n", "no readable CSV file of whole numbers"),
        ("label,a\n", "no readable CSV|0 rows"),
        ("label" + ",p" * 784 + "\n3" + ",256" * 784 + "\n", "pixels outside 0 to 255"),
        ("label" + ",p" * 784 + "\n11" + ",0" * 784 + "\n", "all of 0 to 9"),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_a_csv_of_another_kind_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path / "a.csv")


def test_a_missing_csv_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.csv does not exist"):
        load_dataset(tmp_path / "none.csv")


def test_pictures_are_read_by_label_as_the_service_reads_uploads(tmp_path: Path) -> None:
    dataset = load_dataset(write_pictures(tmp_path / "cells"))
    assert [len(dataset.part(name)) for name in ("train", "validation", "test")] == [20, 10, 10]
    assert {tuple(np.bincount(dataset.part(name).labels)) for name in ("validation", "test")} == {(1,) * 10}
    upload = (tmp_path / "cells" / "7" / "0.png").read_bytes()
    seen = Reader(None).prepare(upload, Timings())  # type: ignore[arg-type]
    assert isinstance(seen, Digit)
    everything = np.concatenate([dataset.part(name).images for name in ("train", "validation", "test")])
    assert any(np.array_equal(seen.pixels, image) for image in everything)


def test_other_pictures_have_another_hash(tmp_path: Path) -> None:
    first, second = load_dataset(write_pictures(tmp_path / "a")), load_dataset(write_pictures(tmp_path / "b"))
    assert first.hashes == second.hashes
    Image.new("L", (40, 40), 255).save(tmp_path / "b" / "3" / "0.png")
    pictures.draw(3, 90).save(tmp_path / "b" / "3" / "0.png")
    assert load_dataset(tmp_path / "b").hashes != first.hashes


def test_pictures_that_cannot_be_read_are_named_with_the_reason(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    (tmp_path / "4" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "5" / "blank.png").write_bytes(pictures.blank())
    with pytest.raises(DataError, match=r"broken.png \(.+\), .*blank.png \(blank\)"):
        load_dataset(tmp_path)


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds 10 digits; at least 30"):
        load_dataset(write_pictures(tmp_path, copies=1))


def test_empty_folders_of_labels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        load_dataset(tmp_path)


def test_a_picture_without_ink_is_told_from_one_that_is_broken() -> None:
    assert normalize_picture(pictures.blank()) == "blank"
    assert isinstance(normalize_picture(b"nothing"), str)
    assert normalize_picture(pictures.png(3)).shape == (28, 28)  # type: ignore[union-attr]


def test_a_recipe_can_hold_out_more(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", draw_digits(200))
    dataset = load_dataset(tmp_path)
    more = hold_out(dataset, 0.3)
    assert len(dataset.validation) == 20
    assert abs(len(more.validation) - 0.3 * 180) <= 5  # whole digits of each class
    assert len(more.validation) + len(more.train) == 180
    assert np.array_equal(more.validation.images[:20], dataset.validation.images)
    assert more.split["share"] == 0.3
    assert hold_out(dataset, 0.0) is dataset


def test_mnists_writers_in_the_environment_do_not_concern_other_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.__main__ import build_parser
    from training.verbs.common import load

    monkeypatch.setenv("DIGITS_QMNIST_DIR", str(tmp_path / "nowhere"))
    cells = write_csv(tmp_path / "train.csv", draw_digits(60))
    assert len(load(build_parser().parse_args(["explore", "--data", str(cells)])).test) == 10
    with pytest.raises(DataError, match="writers of the images were expected"):
        load(build_parser().parse_args(["explore", "--data", str(write_npz(tmp_path / "mnist.npz"))]))
