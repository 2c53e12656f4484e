"""The verbs beyond the way to a release, each on tiny data, by what comes out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.classifier import DigitClassifier
from tests import pictures
from tests.training.digits import write_npz
from tests.training.test_formats import write_pictures
from training.__main__ import main
from training.architectures import find_architecture
from training.data import load_dataset
from training.evaluate import evaluate, load_predict
from training.explore import draw_taught
from training.network import load_keras_model, predict_logits
from training.runs import Run


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_npz(tmp_path_factory.mktemp("data") / "mnist.npz", train=400, test=100)


@pytest.fixture(scope="module")
def runs(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of one network, calibrated and exported."""
    folder = tmp_path_factory.mktemp("runs")
    data = ["--data", str(source)]
    assert (
        main(["train", *data, "--seeds", "0", "1", "--epochs", "6", "--set", "batch_size=32", "--runs", str(folder)])
        == 0
    )
    for run in folder.iterdir():
        assert main(["calibrate", *data, str(run)]) == 0
        assert main(["export", *data, str(run)]) == 0
    return folder


@pytest.fixture(scope="module")
def records(source: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of the two runs and of three baselines."""
    folder, data = tmp_path_factory.mktemp("records"), ["--data", str(source)]
    plots = str(tmp_path_factory.mktemp("plots"))
    assert main(["evaluate", *data, *map(str, runs.iterdir()), "--record", str(folder), "--plots", plots]) == 0
    assert main(["baselines", *data, "knn", "svm", "decision_tree", "--record", str(folder)]) == 0
    return folder


def accuracy(model: Path, source: Path) -> float:
    return float(evaluate(load_predict(model), load_dataset(source).test)["accuracy"])


def is_picture(path: Path) -> bool:
    with Image.open(path) as image:
        return image.width > 200 and len(image.convert("L").getcolors() or []) > 5


def test_explore_counts_and_draws(source: Path, tmp_path: Path) -> None:
    assert main(["explore", "--data", str(source), "--out", str(tmp_path)]) == 0
    facts = json.loads((tmp_path / "explore.json").read_text())
    train = load_dataset(source).train
    assert facts["parts"]["train"]["counts"] == np.bincount(train.labels).tolist()
    assert facts["parts"]["train"]["mean"] == pytest.approx(train.images.mean())
    assert sum(facts["parts"]["test"]["histogram"]) == 100 * 784
    assert len({image.tobytes() for image in train.images}) == len(train) - facts["duplicates"]["within_train"]
    report = (tmp_path / "README.md").read_text()
    for name in ("samples", "means", "counts", "intensities"):
        assert is_picture(tmp_path / f"{name}.png")
        assert f"{name}.png" in report


@pytest.mark.parametrize(("architecture", "kinds"), [("cnn_887k", range(10)), ("ours", range(11))])
def test_explore_draws_what_a_network_is_taught(source: Path, tmp_path: Path, architecture: str, kinds: range) -> None:
    argv = ["explore", "--data", str(source), "--out", str(tmp_path), "--taught", architecture]
    assert main(argv) == 0
    assert is_picture(tmp_path / "taught.png")
    labels = draw_taught(load_dataset(source).train, find_architecture(architecture).recipe, tmp_path)
    assert len(labels) == 100
    assert set(labels.tolist()) == set(kinds)


def test_explore_finds_what_is_mislabelled(source: Path) -> None:
    from training.data import Digits
    from training.explore import oddities

    train = load_dataset(source).train
    labels = train.labels.copy()
    [victim] = np.flatnonzero(labels == 0)[:1]
    labels[victim] = 1
    found = oddities(Digits(train.images, labels))
    assert {"index": int(victim), "label": 1, "nearer_to": 0} in found


def test_an_ensemble_answers_with_the_mean_of_its_members_and_is_released_like_a_run(
    source: Path, runs: Path, tmp_path: Path
) -> None:
    data, members = ["--data", str(source)], sorted(runs.iterdir())
    assert main(["ensemble", *data, "--runs", str(tmp_path), *map(str, members)]) == 0
    [folder] = tmp_path.iterdir()
    images = load_dataset(source).test.images
    theirs = [predict_logits(load_keras_model(Run(member).model_path), images) for member in members]
    ours = predict_logits(load_keras_model(Run(folder).model_path), images)
    assert np.abs(ours - np.mean(theirs, axis=0)).max() < 1e-4
    assert Run(folder).recipe.members == tuple(member.name for member in members)
    assert Run(folder).read("training")["parameters"] == 2 * 225_034 - 10
    assert main(["calibrate", *data, str(folder)]) == 0
    assert main(["export", *data, str(folder)]) == 0
    assert DigitClassifier.load(Run(folder).onnx_path).record.architecture == "ensemble"


def test_members_of_other_data_make_no_ensemble(
    source: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_npz(tmp_path / "other.npz", 100, 20)
    assert main(["ensemble", "--data", str(other), *map(str, runs.iterdir())]) == 2
    assert "was trained on other data" in capsys.readouterr().err


def test_a_student_learns_from_its_teachers(source: Path, runs: Path, tmp_path: Path) -> None:
    argv = ["distil", "--data", str(source), *map(str, runs.iterdir()), "--epochs", "6", "--set", "batch_size=32"]
    assert main([*argv, "--runs", str(tmp_path)]) == 0
    [folder] = tmp_path.iterdir()
    assert len(Run(folder).recipe.teachers) == 2
    assert Run(folder).recipe.architecture == "cnn_32_64_64_dense64"
    assert accuracy(folder, source) > 0.9


def test_each_student_may_start_where_one_of_its_teachers_stands(
    source: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teachers = [str(run) for run in sorted(runs.iterdir())]
    argv = ["distil", "--data", str(source), *teachers, "--student", "cnn_225k", "--runs", str(tmp_path)]
    options = ["--epochs", "1", "--set", "batch_size=32", "learning_rate=0", "--seeds", "7", "8"]
    assert main([*argv, "--init-from", *teachers, *options, "9"]) == 2
    assert "--init-from names 2 networks for 3 seeds" in capsys.readouterr().err
    assert main([*argv, "--init-from", *teachers, *options]) == 0
    for student, teacher in zip(sorted(tmp_path.iterdir()), teachers, strict=True):
        config = Run(student).read("config")
        assert config["initial"]["run"] == Path(teacher).name
        assert [each["run"] for each in config["teachers"]] == [Path(each).name for each in teachers]
        for mine, theirs in zip(
            *(load_keras_model(Run(Path(run)).model_path).trainable_variables for run in (student, teacher)),
            strict=True,
        ):
            assert np.array_equal(mine, theirs)


def test_a_run_is_averaged_with_where_it_started(
    source: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, start = ["--data", str(source)], sorted(runs.iterdir())[0]
    options = ["--init-from", str(start), "--epochs", "1", "--runs", str(tmp_path / "more")]
    assert main(["train", *data, *options, "--set", "learning_rate=0.001"]) == 0
    [further] = (tmp_path / "more").iterdir()
    assert main(["average", *data, str(further), "--runs", str(tmp_path / "averaged")]) == 0
    [averaged] = (tmp_path / "averaged").iterdir()
    theirs = [load_keras_model(Run(run).model_path).get_weights() for run in (start, further)]
    assert not all(np.allclose(*weights) for weights in zip(*theirs, strict=True))
    ours = load_keras_model(Run(averaged).model_path).get_weights()
    for mean, one, other in zip(ours, *theirs, strict=True):
        assert np.allclose(mean, (one + other) / 2, atol=1e-6)
    config = Run(averaged).read("config")
    assert config["recipe"]["members"] == [further.name]
    [member] = config["members"]
    assert (member["run"], member["initial"]["run"]) == (further.name, start.name)
    assert accuracy(averaged, source) > 0.9
    assert main(["calibrate", *data, str(averaged)]) == 0
    assert main(["export", *data, str(averaged)]) == 0
    assert main(["average", *data, str(start)]) == 2
    assert "started from no other network" in capsys.readouterr().err
    other = write_npz(tmp_path / "other.npz", 100, 20)
    assert main(["average", "--data", str(other), str(further)]) == 2
    assert "was trained on other data" in capsys.readouterr().err


def test_tuning_goes_on_where_it_stopped_and_looks_at_no_test_digit(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from training import tune

    argv = ["tune", "--data", str(source), "--study", str(tmp_path), "--epochs", "2", "--trials"]
    space = ["--space", "learning_rate=1e-4:1e-2", "optimizer=adam,adamw"]
    honest, calls = tune._train, []

    def interrupted(*arguments: object) -> float | None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return honest(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(tune, "_train", interrupted)
    assert main([*argv, "2", *space]) == 130
    assert main([*argv, "2", *space]) == 0
    result = json.loads((tmp_path / "tune.json").read_text())
    assert [trial["state"] for trial in result["trials"]] == ["complete"] * 2
    assert [trial["number"] for trial in result["trials"]] == [0, 2]
    assert result["best"]["accuracy"] == max(trial["accuracy"] for trial in result["trials"])
    assert all(1e-4 <= trial["fields"]["learning_rate"] <= 1e-2 for trial in result["trials"])
    assert len(calls) == 3
    assert "--set learning_rate=" in capsys.readouterr().out
    assert main([*argv, "2", "--space", "batch_size=32,64"]) == 2
    assert "about another recipe" in capsys.readouterr().err


def test_a_run_is_fine_tuned_on_pictures_of_ones_own_and_released(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import release

    monkeypatch.setattr(release, "MAX_UPLOAD_LOSS", 1.0)
    cells = write_pictures(tmp_path / "cells", copies=5)
    former = sorted(runs.iterdir())[0]
    data = ["--data", str(cells)]
    argv = ["train", *data, "--init-from", str(former), "--epochs", "8", "--runs", str(tmp_path / "runs")]
    assert main([*argv, "--set", "batch_size=10", "learning_rate=0.001"]) == 0
    [folder] = (tmp_path / "runs").iterdir()
    assert Run(folder).recipe.init_from == str(former)
    before, after = accuracy(former, cells), accuracy(folder, cells)
    assert after > max(before - 0.01, 0.6)
    assert set(Run(folder).read("config")["data"]["hashes"]) == {"pictures"}
    assert main(["calibrate", *data, str(folder)]) == 0
    assert main(["export", *data, str(folder)]) == 0
    models = ["--models", str(tmp_path / "models"), "--version", "2.0.0", "--minimum-accuracy", "0.5"]
    assert main(["release", *data, *models, str(folder)]) == 0
    released = tmp_path / "models" / "digits.onnx"
    assert DigitClassifier.load(released).record.version == "2.0.0"
    card = (tmp_path / "models" / "README.md").read_text()
    assert (
        f"It started from the weights of `{former.name}`, which was trained on 360 digits of the training part of"
        in card
    )
    assert "MNIST" not in card.partition("## Data")[2].partition("## Calibration")[0]
    assert f"train --init-from runs/{former.name} --data FOLDER --seed 0 --set epochs=8 batch_size=10" in card
    # The released file is a start as good as the run.
    assert main(["train", *data, "--init-from", str(released), "--epochs", "1", "--runs", str(tmp_path / "more")]) == 0
    [more] = (tmp_path / "more").iterdir()
    assert Run(more).origin["initial"]["version"] == "2.0.0"
    assert Run(more).origin["initial"]["initial"]["run"] == former.name
    assert accuracy(more, cells) > max(after - 0.1, 0.5)


def test_weights_of_another_architecture_are_refused(
    source: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "--data", str(source), "--init-from", str(next(runs.iterdir())), "--architecture", "lenet5"]
    assert main([*argv, "--runs", str(tmp_path)]) == 2
    assert "is of another architecture" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["model.keras", "digits.onnx", ""])
def test_predict_shows_what_the_network_saw_beside_the_answer(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    picture = tmp_path / "three.png"
    pictures.draw(3).save(picture)
    assert (
        main(["predict", "--model", str(next(runs.iterdir()) / name), str(picture), "--plot", str(tmp_path / "out")])
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{picture}: ")
    assert len(lines) == 15
    assert all(line.startswith("|") and line[29] == "|" for line in lines[1:])
    assert sum(line.endswith("<--") for line in lines) == 1
    assert any("@" in line[1:29] for line in lines[1:])
    assert is_picture(tmp_path / "out" / "three.png")


def test_predict_names_what_is_no_digit(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "blank.png").write_bytes(pictures.blank())
    assert main(["predict", "--model", str(next(runs.iterdir())), str(tmp_path / "blank.png")]) == 2
    assert "blank.png cannot be read as a digit: blank" in capsys.readouterr().err


def test_export_writes_keras_files_that_answer_as_the_run(source: Path, runs: Path, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(next(runs.iterdir()), tmp_path / "run")))
    assert main(["export", "--data", str(source), str(run.folder), "--formats", "keras", "h5"]) == 0
    images = load_dataset(source).test.images
    answers = [load_predict(path)(images)[0] for path in (run.model_path, *run.folder.glob("digits.[kh]*"))]
    assert len(answers) == 3
    assert all(np.array_equal(answers[0], other) for other in answers[1:])


def test_tensorflow_lite_float_and_int8_answer_as_the_network(source: Path, runs: Path, tmp_path: Path) -> None:
    from training.tflite import load_interpreter

    run = Run(Path(shutil.copytree(next(runs.iterdir()), tmp_path / "run")))
    assert main(["export", "--data", str(source), str(run.folder), "--formats", "tflite"]) == 0
    told = run.read("tflite")
    assert told["float"]["changed_labels"] == 0
    assert told["float"]["max_difference"] < 1e-5
    assert told["int8"]["lost"] <= 0.001
    assert told["int8"]["bytes"] == (run.folder / "digits-int8.tflite").stat().st_size < 300_000
    interpreter = load_interpreter((run.folder / "digits-int8.tflite").read_bytes())
    [entry] = interpreter.get_input_details()
    assert (entry["dtype"], entry["shape"].tolist()) == (np.uint8, [1, 28, 28, 1])
    kinds = {detail["dtype"] for detail in interpreter.get_tensor_details()}
    assert kinds <= {np.uint8, np.int8, np.int32}


def test_baselines_leave_records_of_the_same_digits(source: Path, records: Path) -> None:
    knn = json.loads((records / "baseline-knn-seed0.json").read_text())
    test = knn["evaluation"]["test"]
    assert test["accuracy"] > 0.9
    assert len(test["mistakes"]) == test["errors"]
    assert knn["data"]["hashes"] == dict(load_dataset(source).hashes)
    assert knn["latency"]["1"] > 0
    assert len({json.loads(path.read_text())["evaluation"]["test"]["digits"] for path in records.iterdir()}) == 1


def test_compare_puts_seeds_into_one_row_and_times_all_in_turns(
    source: Path, runs: Path, records: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["compare", "--records", str(records), "--time", "--runs", str(runs), "--data", str(source)]
    assert main(argv) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 4
    [ours] = [row.split() for row in rows if row.startswith("cnn_225k")]
    assert "2" in ours
    assert "225,034" in ours
    assert sum(row.rstrip().endswith("best") for row in rows) == 1
    assert "McNemar" not in header
    timed = [json.loads((records / f"{run.name}.json").read_text())["latency"]["1"] for run in runs.iterdir()]
    assert all(microseconds > 0 for microseconds in timed)


def test_a_network_whose_run_is_gone_is_timed_with_other_weights(
    source: Path, runs: Path, records: Path, tmp_path: Path
) -> None:
    kept, lost = sorted(path.name for path in runs.iterdir() if (path / "digits.onnx").is_file())[:2]
    copied = tmp_path / "records"
    shutil.copytree(records, copied)
    for name in (kept, lost):
        path = copied / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"latency": {"1": 1e9}}))
    (tmp_path / "runs").mkdir()
    shutil.copytree(runs / kept, tmp_path / "runs" / kept)
    argv = ["compare", "--records", str(copied), "--time", "--runs", str(tmp_path / "runs"), "--data", str(source)]
    assert main(argv) == 0
    found = {path.stem: json.loads(path.read_text()).get("latency", {}).get("1") for path in copied.iterdir()}
    assert 0 < found[lost] < 1e9
    assert 0 < found[kept] < 1e9
    assert found["baseline-knn-seed0"] > 0


def test_the_report_is_one_page_and_markdown_with_the_same_figures(runs: Path, records: Path, tmp_path: Path) -> None:
    page, markdown = tmp_path / "report.html", tmp_path / "docs" / "accuracy.md"
    argv = ["report", "--records", str(records), "--runs", str(runs), "--html", str(page), "--markdown", str(markdown)]
    assert main([*argv, "--figures", str(tmp_path)]) == 0
    html, text = page.read_text(), markdown.read_text()
    knn = json.loads((records / "baseline-knn-seed0.json").read_text())["evaluation"]["test"]
    for document in (html, text):
        assert "Side by side" in document
        assert f"{knn['accuracy']:.2%}" in document
        assert "random" not in document  # it was not measured
    assert "data:image/png;base64," in html
    assert 'src="http' not in html
    assert "<script" not in html
    assert "![" not in text
