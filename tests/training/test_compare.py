import json
from pathlib import Path

import pytest

from training.compare import compare, discordant, holm, name_of, read_records, significance
from training.errors import RunError
from training.report import SECTIONS, Material, Section, Text, comparison, pareto_front, to_html, to_markdown
from training.runs import FORMAT, write_json


def record(name: str, seed: int, wrong: list[int], **fields: object) -> dict[str, object]:
    accuracy = 1 - len(wrong) / 1000
    test = {
        "n": 1000,
        "errors": len(wrong),
        "accuracy": accuracy,
        "macro": dict.fromkeys(("precision", "recall", "f1"), accuracy),
        "calibration": {"ece": 0.01, "bins": [{"n": 1000, "confidence": 0.99, "accuracy": accuracy}]},
        "nll": 0.1,
        "confused": [{"first": 4, "second": 9, "n": 3}],
        "per_class": [],
        "digits": "same",
        "mistakes": [[index, 0] for index in wrong],
    }
    return {
        "id": f"{name}-seed{seed}",
        "format": FORMAT,
        "seed": seed,
        "recipe": {"architecture": name, **fields},
        "machine": {"processor": "a", "cores": 2, "python": "3", "packages": {"tensorflow": "2", "onnxruntime": "1"}},
        "training": {"parameters": 10, "seconds": 5.0},
        "latency": {"1": 50.0 + seed},
        "evaluation": {"test": test},
    }


def test_runs_of_one_recipe_make_a_row_with_mean_and_spread() -> None:
    rows = compare([record("lenet5", seed, list(range(10 + seed))) for seed in range(3)] + [record("knn", 0, [1])])
    assert [row.name for row in rows] == ["knn", "lenet5"]
    lenet = rows[1]
    assert lenet.accuracy == pytest.approx(0.989)
    assert lenet.spread == pytest.approx(0.001)
    assert lenet.median["seed"] == 1
    assert lenet.microseconds == 51
    assert rows[0].spread is None


def test_time_in_batches_is_told_beside_the_usual_network(tmp_path: Path) -> None:
    ours, usual, former = record("ours", 0, [1], classes=11), record("cnn_225k", 0, [1, 2]), record("mlp", 0, [1, 2, 3])
    ours["latency"], usual["latency"] = {"1": 60.0, "16": 40.0}, {"1": 50.0, "16": 30.0}
    rows = compare([ours, usual, former])
    assert [row.microseconds_16 for row in rows] == [40.0, 30.0, None]
    figures = {"decisions": {"model": {"version": "1.0.0", "sha256": "f" * 64, "run": "ours-seed0"}}}
    material = Material([ours, usual], tmp_path, tmp_path, figures, rows, significance(rows))
    text, table = comparison(material).blocks
    assert "takes 40.0 microseconds an image, 1.33 times as long as cnn_225k" in text.text
    assert [row[table.header.index("us at 16")] for row in table.rows] == ["40", "30", "-"]
    other = Material([ours, usual], tmp_path, tmp_path, {}, rows, significance(rows))
    assert "times as long" not in comparison(other).blocks[0].text


def test_another_recipe_is_another_row() -> None:
    assert name_of(record("lenet5", 0, [], epochs=7)) == "lenet5 (epochs=7)"
    assert name_of(record("lenet5", 0, [], epochs=20)) == "lenet5"
    assert name_of(record("lenet5", 0, [], init_from="somewhere/runs/a")) == "lenet5 (init_from=a)"
    started = record("lenet5", 0, [], init_from="a") | {"initial": record("lenet5", 0, [], epochs=7)}
    assert name_of(started) == "lenet5 (init_from=lenet5 (epochs=7))"
    averaged = record("lenet5", 0, [], init_from="a", members=["b"]) | {"members": [started]}
    assert name_of(averaged) == "lenet5 (averaged, init_from=lenet5 (epochs=7))"
    assert name_of(started | {"initial": started["initial"] | {"version": "1.0.0"}}) == "lenet5 (init_from=a)"
    taught = {"loss": "categorical_crossentropy", "teachers": ["a", "b"]}
    assert name_of(record("lenet5", 0, [], **taught)) == "lenet5 (teachers=2)"
    assert name_of(record("lenet5", 0, [], **taught, init_from="b")) == "lenet5 (teachers=2)"
    assert name_of(record("lenet5", 0, [], **taught, init_from="c")) == "lenet5 (teachers=2, init_from=c)"
    assert name_of(record("lenet5", 0, [], **taught, init_from="b", members=["d"])) == "lenet5 (averaged, teachers=2)"
    assert name_of(record("knn", 0, [], fit_on=5000)) == "knn (fitted on 5,000)"
    assert name_of(record("ensemble", 0, [], members=["a", "b"])) == "ensemble of 2"


def test_mcnemar_counts_what_only_one_reads_right() -> None:
    first, second = record("a", 0, [1, 2]), record("b", 0, [2, 3, 4, 5])
    assert discordant(first, second) == (3, 1)


def test_a_clear_difference_is_significant_and_none_is_not() -> None:
    rows = compare([record("lenet5", 0, [1]), record("mlp", 0, [2]), record("knn", 0, list(range(100, 130)))])
    found = significance(rows)
    assert found["knn"].p < 1e-6
    assert found["mlp"].p == 1.0
    assert found["knn"].adjusted == pytest.approx(2 * found["knn"].p)


def test_mcnemars_p_is_the_exact_binomial_one() -> None:
    rows = compare([record("lenet5", 0, [1]), record("mlp", 0, [2, 3, 4, 5, 6])])
    # 5 against 1: 2 * (1 + 6) / 64
    assert significance(rows)["mlp"].p == pytest.approx(2 * 7 / 64)


def test_holm_multiplies_the_least_by_the_number_and_never_falls() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert adjusted == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_records_of_other_test_digits_are_not_compared(tmp_path: Path) -> None:
    first, second = record("a", 0, []), record("b", 0, [])
    second["evaluation"]["test"]["digits"] = "other"  # type: ignore[index]
    for each in (first, second):
        write_json(tmp_path / f"{each['id']}.json", each)
    with pytest.raises(RunError, match="2 different test sets"):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no record"),
        ('{"format": 99}', "has the format 99"),
        (f'{{"format": {FORMAT}}}', "evaluate the run again"),
    ],
)
def test_a_broken_record_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(RunError, match=message):
        read_records(tmp_path)


def test_of_two_equally_good_the_faster_is_worth_its_cost() -> None:
    rows = compare([record("lenet5", 0, [1]), record("mlp", 3, [2]), record("knn", 9, [])])
    assert [row.name for row in pareto_front(rows)] == ["knn", "lenet5"]


def test_every_section_tells_something_and_a_new_one_is_a_function(tmp_path: Path) -> None:
    records = [record("lenet5", 0, [1, 2]), record("knn", 0, [2])]
    rows = compare(records)
    material = Material(records, tmp_path, tmp_path, {}, rows, significance(rows))
    sections = [section for make in SECTIONS if (section := make(material))]
    sections.append(Section("Photos <here>", [Text("a | b & c")]))
    page, text = to_html(sections), to_markdown(sections)
    assert "Photos &lt;here&gt;" in page
    assert "## Photos <here>\n\na | b & c" in text
    titles = [section.title for section in sections]
    assert len(set(titles)) == len(titles) >= 7
    json.dumps(records)
