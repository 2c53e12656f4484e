import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.decisions import FIELD_FEATURES, TARGET_ERRORS
from service.fields import BLANK
from service.reader import Reader
from tests.training.test_sheets import draw_sheet
from training import fields, routes
from training.data import Digits
from training.drawing import draw_digits
from training.errors import DataError
from training.fields import (
    Outcome,
    calibrate_fields,
    fit_confidence,
    measure,
    measure_garbage,
    measure_sequences,
    measure_sheets,
    measure_strings,
    overlap,
    summary,
)
from training.numbers import SHEETS, several_digits
from training.report import to_markdown
from training.strings import Pool, make_strings


@pytest.fixture(scope="module")
def drawn() -> Digits:
    return Digits(*draw_digits(300, np.random.default_rng(0)))


def test_spaced_strings_are_mostly_read_and_boxes_found(reader: Reader, drawn: Digits) -> None:
    spaced = measure_strings(reader, drawn, 25, 3)["spaced"]
    assert spaced["n"] == 25
    assert spaced["exact"] >= 0.6
    assert spaced["boxes"] >= 0.9
    assert spaced["interval"][0] < spaced["exact"] < spaced["interval"][1] + 1e-9


def test_all_figures_are_told_in_the_report(reader: Reader, drawn: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "TIMED", 2)
    figures = measure(reader, drawn, 2)
    told = {"version": "1.0.0", "sha256": "0" * 64}
    real = {"even rows, nothing known": figures["strings"]["5"]["spaced"] | {"boxes": None}}
    report = to_markdown([several_digits(figures | {"sequences": real, "model": told, "columns": told})])
    assert "| 5 digits, touching | 2 |" in report
    assert "| even rows, nothing known | 2 |" in report
    assert f"{figures['time']['ratio']:.1f} times as long" in report
    assert "real" not in to_markdown([several_digits(figures | {"sequences": {}, "model": told, "columns": told})])


def test_garbage_is_hardly_ever_accepted(reader: Reader, drawn: Digits) -> None:
    assert measure_garbage(reader, drawn, 60)["accepted"] <= 0.05


def test_a_calibration_holds_what_the_model_file_needs(reader: Reader, drawn: Digits) -> None:
    fitted = json.loads(json.dumps(calibrate_fields(reader, drawn, 25)))
    assert len(fitted["weights"]) == FIELD_FEATURES
    assert {str(target) for target in TARGET_ERRORS} <= set(fitted)
    assert fitted["weights"][0] > 0


def test_the_confidence_is_the_share_that_is_right() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20_000, 2))
    chance = 1 / (1 + np.exp(-(0.5 + 2 * features[:, 0])))
    bias, weights = fit_confidence(features, rng.random(len(features)) < chance)
    np.testing.assert_allclose([bias, *weights], [0.5, 2.0, 0.0], atol=0.1)


def test_real_strings_are_read_from_their_table(reader: Reader, drawn: Digits, tmp_path: Path) -> None:
    folder = tmp_path / "set" / "images"
    folder.mkdir(parents=True)
    labels, boxes = ["file,transcription"], ["file,digit,x,y,w,h"]
    for index, string in enumerate(make_strings(4, "spaced", Pool(drawn), np.random.default_rng(1), 3)):
        Image.fromarray(string.picture).save(folder / f"{index}.png")
        labels.append(f"set/images/{index}.png,{string.text}")
        boxes += [f"{index}.png,0,{a},{b},{c - a},{d - b}" for a, b, c, d in string.boxes]
    (tmp_path / "labels.csv").write_text("\n".join([*labels, "set/images/sheet.png,12|34"]))
    (tmp_path / "set" / "boxes.csv").write_text("\n".join(boxes))
    every = measure_sequences(reader, tmp_path, lambda index: True)
    half = measure_sequences(reader, tmp_path, lambda index: index % 2 == 0, check=True)
    assert (every["n"], half["n"]) == (4, 2)
    assert every["boxes"] >= 0.7


def test_lines_of_a_photographed_sheet_are_read_each_as_a_field(reader: Reader, tmp_path: Path) -> None:
    Image.fromarray(draw_sheet([[4, 0, 7], [3, 5, 7, 2]])).save(tmp_path / "sheet.png")
    Image.fromarray(draw_sheet([[4, 0, 7]])).save(tmp_path / "other.png")
    (tmp_path / "labels.csv").write_text("file,transcription,what\nsheet.png,407|3 5 7 2,\nnumber.png,12,\n")
    figures = measure_sheets(reader, tmp_path)
    assert figures is not None
    assert (figures["n"], figures["exact"], figures["boxes"]) == (2, 1.0, None)
    (tmp_path / "labels.csv").write_text("file,transcription\nother.png,407|3572\n")
    missed = measure_sheets(reader, tmp_path)
    assert missed is not None
    assert (missed["n"], missed["exact"], missed["coverage"]) == (2, 0.0, 0.0)


def test_a_folder_without_sheets_has_no_figure_of_them(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,transcription\nnumber.png,12\n")
    assert measure_sheets(reader, tmp_path) is None


def test_sheets_and_routes_are_told_where_they_were_measured(reader: Reader, drawn: Digits) -> None:
    told = {"version": "1.0.0", "sha256": "0" * 64}
    row = summary([Outcome("1", BLANK, 0, 0)])
    figures = {"strings": {"5": {"touching": row | {"touching": 0.9}}}, "garbage": row | {"accepted": 0.0}}
    figures |= {"time": {"spaced": 1.0, "touching": 1.0, "single": 1.0, "ratio": 1.0}, "model": told, "columns": told}
    before = to_markdown([several_digits(figures | {"sequences": {"even rows, nothing known": row}})])
    assert "sheets" not in before
    assert "alone" not in before
    measured = figures | {"sequences": {SHEETS: row}, "routes": routes.measure(reader, drawn, 2)}
    after = to_markdown([several_digits(measured)])
    assert f"| {SHEETS} | 1 |" in after
    assert "| cutting alone |" in after
    assert "spaced, n 2" in after


def test_a_folder_without_a_table_is_told(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv"):
        measure_sequences(reader, tmp_path, lambda index: True)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 1, 1), (5, 5, 6, 6)) == 0
