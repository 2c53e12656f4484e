"""What decisions are worth is measured through the service's reader, and told in the report."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from service.classifier import DigitClassifier
from service.settings import released_model
from tests import pictures
from tests.training.digits import draw_digits
from training import acceptance, decided
from training.acceptance import (
    Labelled,
    _without_temperature,
    measure_all,
    measure_negatives,
    measure_photos,
    read_manifest,
)
from training.data import Dataset
from training.errors import DataError
from training.network import apply_temperature
from training.report import to_html, to_markdown
from training.robustness import draw_families


@pytest.fixture(scope="module")
def classifier() -> DigitClassifier:
    return DigitClassifier.load(released_model())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of two sources and a few pictures of what is no digit, each with its list."""
    root = tmp_path_factory.mktemp("pictures")
    lines, others = ["file,label"], ["file,what"]
    for source, digits in (("first", (3, 7)), ("second", (1, 4, 8))):
        (root / source).mkdir()
        for digit in digits:
            (root / source / f"{digit}.png").write_bytes(pictures.png(digit))
            lines.append(f"{source}/{digit}.png,{digit}")
    for kind, what, picture in (
        ("blank_cells", "blank", pictures.blank()),
        ("letters", "beta", pictures.png(8)),
        ("letters", "alpha", pictures.blank()),
    ):
        (root / kind).mkdir(exist_ok=True)
        (root / kind / f"{what}.png").write_bytes(picture)
        others.append(f"{kind}/{what}.png,{what}")
    (root / "MANIFEST.csv").write_text("\n".join(lines))
    (root / "labels.csv").write_text("\n".join(others))
    return root


@pytest.fixture(scope="module")
def measured(folder: Path) -> dict:
    parts = draw_digits(60), draw_digits(60, 1)
    drawn = Dataset(parts[0], *parts, {"cells.csv": "0" * 64}, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acceptance, "draw_families", partial(draw_families, per_family=4))
        return measure_all(released_model(), drawn, {"photos": folder, "negatives": folder})


def test_photos_are_told_by_source_and_in_all(classifier: DigitClassifier, folder: Path) -> None:
    found = measure_photos(classifier, read_manifest(folder / "MANIFEST.csv", "label"))
    assert (found["n"], found["right"], found["blank"]) == (5, 5, 0)
    assert {name: row["n"] for name, row in found["folders"].items()} == {"first": 2, "second": 3}
    assert found["at"]["0.005"]["accepted"] == sum(row["accepted"] for row in found["folders"].values())


def test_blank_cells_count_as_blank_and_look_alikes_stand_apart(classifier: DigitClassifier, folder: Path) -> None:
    rows = measure_negatives(classifier, read_manifest(folder / "labels.csv", "what"))
    assert rows["blank_cells"] == {"n": 1, "accept": 0, "review": 0, "reject": 1, "blank": 1}
    assert set(rows) == {"blank_cells", "letters", "letters: beta"}


def test_a_reading_kept_back_for_another_reason_is_not_covered(classifier: DigitClassifier, tmp_path: Path) -> None:
    """A digit cut off at the rim is not accepted at any threshold."""
    path = tmp_path / "cut.png"
    path.write_bytes(pictures.encode(pictures.draw(8).crop((0, 0, 200, 130))))
    [row] = measure_photos(classifier, [Labelled(path, "cut", "8")])["folders"].values()
    assert row["accepted"] == 0


def test_everything_measured_can_be_kept_and_told(measured: dict, tmp_path: Path) -> None:
    kept = json.loads(json.dumps(measured, allow_nan=False))
    folder = tmp_path / "plots"
    sections = [
        decided.passing_unread(kept, folder),
        decided.confidences(kept, {}, folder),
        decided.photos(kept),
        decided.no_digits(kept),
    ]
    text, page = to_markdown(sections), to_html(sections)
    assert "](plots/risk-coverage.png)" in text
    assert page.count("<img") == 4
    for told in ("promised 0.5%", "letters: beta", "symbol (held out)", "microseconds", "on test part of `cells.csv`"):
        assert told in text


def test_scores_without_the_temperature_are_those_of_the_undivided_logits() -> None:
    logits = np.random.default_rng(0).normal(scale=3, size=(50, 10)).astype(np.float32)
    divided, _ = apply_temperature(logits, 1.7)
    assert np.allclose(_without_temperature(divided, 1.7), apply_temperature(logits, 1.0)[0], atol=1e-5)


def test_the_decision_is_a_small_part_of_the_reading(measured: dict) -> None:
    assert 0 < measured["cost"]["share"] < 0.1


def test_a_list_that_lacks_something_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"MANIFEST.csv cannot be read"):
        read_manifest(tmp_path / "MANIFEST.csv", "label")
    (tmp_path / "MANIFEST.csv").write_text("file,digit\na.png,1\n")
    with pytest.raises(DataError, match=r"has no column 'label'"):
        read_manifest(tmp_path / "MANIFEST.csv", "label")


def record(name: str, batches: str, classes: int, accuracy: float) -> dict:
    return {
        "id": name,
        "recipe": {"architecture": "ours", "batches": batches, "classes": classes, "epochs": 90},
        "evaluation": {"test": {"accuracy": accuracy, "errors": round(1e4 * (1 - accuracy))}},
    }


def test_the_cost_of_rejecting_is_the_difference_to_the_same_recipe_without() -> None:
    records = [record("with", "taught", 11, 0.9967), record("without", "taught_without_negatives", 10, 0.997)]
    section = decided.reject_cost(records)
    assert section is not None
    assert "+0.030 points" in to_markdown([section])
    other = record("other", "taught_without_negatives", 10, 0.997)
    other["recipe"]["epochs"] = 10
    assert decided.reject_cost([records[0], other]) is None
