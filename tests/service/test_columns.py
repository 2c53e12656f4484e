"""The column network's frames: which digit a segment may be, where digits lie, and the file they come from."""

import json
from itertools import groupby, product
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from service.columns import MOST_ODDS, PAPER, ColumnReader, Frames
from service.errors import ModelError
from service.reader import Reader
from service.settings import released_field_model, released_model
from service.strip import DIGIT, FEET, HEIGHT, MARGIN, STEP, STRIDE, Strip, make_strip
from service.textline import find_text_line
from tests.service.test_fields import row


def frames_of(text: str) -> Frames:
    """Three frames for each character, sure of the digit in the middle one; a blank is no digit."""
    logs = np.full((3 * len(text), 11), -8.0, np.float32)
    logs[:, PAPER] = -0.01
    for index, character in enumerate(text):
        if character != " ":
            logs[3 * index + 1, PAPER] = -8.0
            logs[3 * index + 1, int(character)] = -0.01
    return Frames(logs, Strip(np.zeros((HEIGHT, 6 * len(text)), np.uint8), 0.0, 1.0))


def test_the_evidence_speaks_for_the_digit_of_each_segment_and_against_two_in_one() -> None:
    frames = frames_of("47 2")
    bounds = np.array([0, 3, 6, 9, 12])
    evidence, middles = frames.evidence(bounds, np.array([0, 1, 2, 3, 0]), np.array([0, 1, 2, 3, 1]))
    assert evidence.argmax(axis=1)[[0, 1, 3]].tolist() == [4, 7, 2]
    assert (evidence[[0, 1, 3]].max(axis=1) > 7).all()
    assert evidence[2].max() < -7
    # Both digits of the last segment are there, but only one of them may be counted.
    assert evidence[4].max() < evidence[0].max() + evidence[1].max() - 7
    assert middles[[0, 1, 3, 4], [4, 7, 2, 7]].tolist() == [3.0, 9.0, 21.0, 9.0]
    assert frames.most == pytest.approx(evidence[[0, 1, 3]].max(axis=1).sum(), abs=1e-3)


def test_a_segment_without_a_frame_is_no_digit() -> None:
    evidence, middles = frames_of("47").evidence(np.array([0, 3, 3, 6]), np.array([1]), np.array([1]))
    assert (evidence == -MOST_ODDS).all()
    assert np.isnan(middles).all()


def test_the_likelihood_of_a_number_adds_up_all_ways_to_spread_it_over_the_frames() -> None:
    random = np.random.default_rng(3)
    logs = np.log(random.dirichlet(np.ones(PAPER + 1), 5)).astype(np.float32)
    frames = Frames(logs, Strip(np.zeros((HEIGHT, 10), np.uint8), 0.0, 1.0))
    expected: dict[str, float] = {}
    for labels in product(range(PAPER + 1), repeat=5):
        text = "".join(str(label) for label, _ in groupby(labels) if label != PAPER)
        probability = np.exp(sum(logs[frame, label] for frame, label in enumerate(labels)))
        expected[text] = expected.get(text, 0.0) + float(probability)
    texts = ["", "7", "77", "707", "1234", "10987", "444"]
    np.testing.assert_allclose(np.exp(frames.likelihoods(texts)), [expected[text] for text in texts], rtol=1e-4)
    assert frames.likelihoods(["4444"])[0] < -500  # five frames cannot hold it


def test_the_likelihood_of_a_long_line_is_a_number() -> None:
    logs = np.log(np.random.default_rng(4).dirichlet(np.ones(PAPER + 1), 3000)).astype(np.float32)
    frames = Frames(logs, Strip(np.zeros((HEIGHT, 6000), np.uint8), 0.0, 1.0))
    first, second = frames.likelihoods(["12345", "1234567890" * 6])
    assert first < second < 0


def test_pieces_share_the_frames_half_way_between_them() -> None:
    frames = frames_of("47")
    assert frames.bounds([(0, 4), (8, 12)]).tolist() == [0, 3, 6]
    assert frames.bounds([(0, 9), (3, 12), (4, 5)]).tolist() == sorted(frames.bounds([(0, 9), (3, 12), (4, 5)]))


def test_cuts_make_sense_between_digits_and_nowhere_else() -> None:
    frames = frames_of("4 7")
    middles, gaps = frames.middles(18), frames.gaps(18)
    assert middles[[2, 3, 14, 15]].all()
    assert not middles[5:13].any()
    assert gaps[6:12].all()
    assert frames.borders() == [pytest.approx(9.0)]


def test_a_strip_has_digits_of_one_height_on_one_row() -> None:
    for size in (30, 60):
        ink = np.zeros((2 * size, 4 * size), np.uint8)
        ink[size // 2 : size // 2 + size, size : 2 * size] = 255
        strip = make_strip(ink, size, 2 * size, size, size // 2 + size)
        assert strip.pixels.shape[0] == HEIGHT
        assert strip.pixels.shape[1] % STEP == 0
        rows, columns = np.nonzero(strip.pixels > 127)
        assert (rows.min(), rows.max() + 1) == (FEET - DIGIT, FEET)
        assert (columns.min(), columns.max() + 1) == (MARGIN, MARGIN + DIGIT)
        assert strip.frame_of(1.5 * size) == pytest.approx((MARGIN + DIGIT / 2) / STRIDE)


def test_a_line_of_any_size_becomes_about_the_same_strip() -> None:
    small = row([3, 5, 7])
    large = small.resize((small.width * 4, small.height * 4), Image.Resampling.BICUBIC)
    lines = [find_text_line(image) for image in (small, large)]
    strips = [line.strip().pixels for line in lines if line is not None]
    assert len(strips) == 2
    assert abs(strips[0].shape[1] - strips[1].shape[1]) <= STEP
    assert find_text_line(Image.new("L", (300, 80), 240)) is None


def test_frames_do_not_depend_on_what_else_is_read(reader: Reader) -> None:
    assert reader.columns is not None
    line = find_text_line(row([3, 5, 7]))
    assert line is not None
    strip = line.strip().pixels
    alone = reader.columns.log_probabilities(strip[np.newaxis])
    both = reader.columns.log_probabilities(np.stack([strip, strip[:, ::-1]]))
    np.testing.assert_allclose(both[0], alone[0], atol=1e-5)
    np.testing.assert_allclose(np.exp(alone).sum(axis=2), 1, atol=1e-5)


def test_a_file_that_is_no_column_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        ColumnReader.load(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ModelError, match="not a readable ONNX"):
        ColumnReader.load(tmp_path / "text.onnx")
    with pytest.raises(ModelError, match="no column network"):
        ColumnReader.load(released_model())


def test_a_network_for_other_strips_is_refused(tmp_path: Path) -> None:
    graph = onnx.load(released_field_model())
    for entry in graph.metadata_props:
        if entry.key == "strip_version":
            entry.value = "0"
    onnx.save(graph, tmp_path / "old.onnx")
    with pytest.raises(ModelError, match="strips of version 0"):
        ColumnReader.load(tmp_path / "old.onnx")


def test_a_network_calibrated_on_other_features_is_refused(tmp_path: Path) -> None:
    graph = onnx.load(released_field_model())
    for entry in graph.metadata_props:
        if entry.key == "calibration":
            entry.value = json.dumps(json.loads(entry.value) | {"weights": [0.5]})
    onnx.save(graph, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="1 weights of confidence; there are 6"):
        ColumnReader.load(tmp_path / "other.onnx")


def test_the_columns_read_a_number_by_themselves() -> None:
    assert frames_of(" 3 3 17 ").text == "3317"
    assert frames_of("   ").text == ""
