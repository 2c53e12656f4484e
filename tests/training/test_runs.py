import json
from pathlib import Path

import pytest

from training.errors import RunError
from training.recipe import Recipe
from training.runs import Run, write_json

RECIPE = Recipe("cnn_225k")


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    runs = [Run.create(tmp_path, RECIPE, 0, {}) for _ in range(3)]
    assert len({run.id for run in runs}) == 3


def test_a_record_holds_everything_but_weights(tmp_path: Path) -> None:
    run = Run.create(tmp_path, RECIPE, 3, {"hashes": {}})
    run.write("history", {"epochs": []})
    (run.folder / "model.keras").write_bytes(b"weights")
    record = run.record()
    assert (record["id"], record["seed"], record["history"]) == (run.id, 3, {"epochs": []})
    assert "evaluation" not in record
    assert len(json.dumps(record)) < 10_000


def test_a_record_names_no_path_and_no_machine(tmp_path: Path) -> None:
    text = json.dumps(Run.create(tmp_path, RECIPE, 0, {}).record())
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere does not exist"):
        Run.open(tmp_path / "nowhere")


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"config.json is missing"):
        Run.open(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_broken_config_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(RunError, match=r"config.json"):
        Run.open(tmp_path)


def test_a_run_of_another_format_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"format": 99})
    with pytest.raises(RunError, match="has the format 99; this version reads format 1"):
        Run.open(tmp_path)


def test_a_recipe_of_another_version_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"format": 1, "recipe": {"architecture": "cnn_225k", "magic": 1}})
    with pytest.raises(RunError, match="unknown recipe field 'magic'"):
        _ = Run.open(tmp_path).recipe


def test_what_is_missing_names_the_verb_that_writes_it(tmp_path: Path) -> None:
    run = Run.create(tmp_path, RECIPE, 0, {})
    with pytest.raises(RunError, match=r"calibration.json is missing; `python -m training calibrate"):
        run.read("calibration")


def test_lists_of_numbers_stay_on_one_line(tmp_path: Path) -> None:
    content = {"confusion": [[1, 2], [3, -4.5e-07]], "names": ["[1,\n 2]"], "empty": []}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text()
    assert "[1, 2]" in text
    assert json.loads(text) == content


def test_json_is_written_at_once_or_not_at_all(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"kept": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"broken": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"kept": 1}
