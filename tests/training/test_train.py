import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training import objective, train
from training.batches import Batch
from training.data import Dataset, Digits
from training.errors import RecipeError, RunError
from training.network import predict_logits
from training.recipe import Recipe
from training.runs import Run
from training.train import Trainer, resume_run, shuffled, train_run

RECIPE = Recipe("cnn_225k", epochs=2, batch_size=50)


def weights(run: Run) -> list[np.ndarray]:
    from training.network import load_keras_model

    return load_keras_model(run.model_path).get_weights()


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Run:
    return train_run(tmp_path_factory.mktemp("finished"), dataset, RECIPE, seed=1)


def test_a_run_holds_all_that_is_needed_to_repeat_it(finished: Run, dataset: Dataset) -> None:
    config = finished.read("config")
    assert Recipe.from_json(config["recipe"]) == RECIPE
    assert (config["seed"], config["data"]["hashes"]) == (1, dataset.hashes)
    assert config["data"]["split"] == dataset.split
    assert set(config["git"]) == {"commit", "dirty"}
    assert "tensorflow" in config["machine"]["packages"]
    assert not finished.checkpoint_path.exists()


def test_the_history_tells_each_epoch_on_training_and_validation(finished: Run) -> None:
    epochs = finished.read("history")["epochs"]
    assert len(epochs) == 2
    assert set(epochs[0]) == {"loss", "accuracy", "validation_loss", "validation_accuracy", "seconds"}
    assert epochs[1]["loss"] < epochs[0]["loss"]
    result = finished.read("training")
    assert result["parameters"] == 225_034
    assert result["validation"]["accuracy"] == epochs[-1]["validation_accuracy"]


def test_equal_seeds_give_equal_weights_and_other_seeds_others(finished: Run, dataset: Dataset, tmp_path: Path) -> None:
    again, other = (train_run(tmp_path, dataset, RECIPE, seed) for seed in (1, 2))
    assert same(weights(finished), weights(again))
    assert not same(weights(finished), weights(other))


def test_an_interrupted_run_ends_as_if_it_had_run_through(
    finished: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(digits: Digits, recipe: Recipe, rng: np.random.Generator, _progress: float) -> Iterator[Batch]:
        calls.append(1)
        for number, batch in enumerate(shuffled(digits, recipe, rng)):
            if len(calls) == 2 and number == 3:
                raise KeyboardInterrupt
            yield batch

    calls: list[int] = []
    monkeypatch.setitem(train.BATCHES, "shuffled", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_run(tmp_path, dataset, RECIPE, seed=1)
    [folder] = tmp_path.iterdir()
    assert (folder / "checkpoint.npz").is_file()
    assert same(weights(resume_run(folder, dataset)), weights(finished))


def test_a_finished_run_cannot_be_resumed(finished: Run, dataset: Dataset) -> None:
    with pytest.raises(RunError, match="is finished"):
        resume_run(finished.folder, dataset)


def test_a_run_cannot_be_resumed_on_other_data(dataset: Dataset, tmp_path: Path) -> None:
    run = Run.create(tmp_path, RECIPE, 0, {"hashes": {"other": "1"}, "split": {}})
    with pytest.raises(RunError, match="other data files"):
        resume_run(run.folder, dataset)


def test_a_broken_checkpoint_is_named(dataset: Dataset, tmp_path: Path) -> None:
    run = Run.create(tmp_path, RECIPE, 0, {"hashes": dict(dataset.hashes), "split": {}})
    run.checkpoint_path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(RunError, match=r"checkpoint.npz is broken"):
        resume_run(run.folder, dataset)


def test_a_disk_that_is_full_leaves_the_previous_checkpoint(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    trainer = Trainer(replace(RECIPE, epochs=1), 0, dataset)
    trainer.save(tmp_path / "checkpoint.npz")
    before = (tmp_path / "checkpoint.npz").read_bytes()
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(RunError, match=r"checkpoint.npz cannot be written: No space left"):
        trainer.save(tmp_path / "checkpoint.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]
    assert (tmp_path / "checkpoint.npz").read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_device_without_space_is_told_as_such(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.npz.part").symlink_to("/dev/full")
    with pytest.raises(RunError, match="No space left on device"):
        Trainer(replace(RECIPE, epochs=1), 0, dataset).save(tmp_path / "checkpoint.npz")
    assert not list(tmp_path.iterdir())


def test_averaged_weights_are_kept_and_differ_from_the_last(finished: Run, dataset: Dataset, tmp_path: Path) -> None:
    averaged = train_run(tmp_path, dataset, replace(RECIPE, ema=0.9), seed=1)
    assert not same(weights(averaged), weights(finished))
    accuracy = averaged.read("training")["validation"]["accuracy"]
    logits = predict_logits(load(averaged), dataset.validation.images)
    assert accuracy == np.mean(logits.argmax(axis=1) == dataset.validation.labels)


def test_weights_are_averaged_over_short_epochs_too(dataset: Dataset) -> None:
    recipe = replace(RECIPE, epochs=1, batch_size=-(-len(dataset.train) // 2), ema=0.9)
    trainer = Trainer(recipe, 0, dataset)
    before = [each.copy() for each in trainer.average]
    trainer.train_epoch()
    assert any(not np.array_equal(a, b) for a, b in zip(before, trainer.average, strict=True))


def load(run: Run) -> object:
    from training.network import load_keras_model

    return load_keras_model(run.model_path)


def test_the_cosine_schedule_warms_up_and_falls_to_a_hundredth(dataset: Dataset) -> None:
    recipe = replace(RECIPE, schedule="cosine", warmup=0.25, learning_rate=0.01, epochs=10)
    schedule = Trainer(recipe, 0, dataset).model.optimizer._learning_rate
    rates = [float(schedule(step)) for step in (0, 15, 60)]
    assert rates == pytest.approx([0.0001, 0.01, 0.0001], rel=1e-5)


def test_a_student_learns_from_its_teachers_even_where_the_labels_are_wrong(
    finished: Run, dataset: Dataset, tmp_path: Path
) -> None:
    mislabelled = Digits(dataset.train.images, (dataset.train.labels + 1) % 10)
    recipe = replace(
        RECIPE, epochs=6, loss="categorical_crossentropy", teachers=(str(finished.folder),), teacher_weight=1.0
    )
    student = train_run(tmp_path, replace(dataset, train=mislabelled), recipe, seed=0)
    theirs, ours = (predict_logits(load(run), dataset.test.images).argmax(axis=1) for run in (finished, student))
    assert np.mean(theirs == ours) > 0.8


def test_a_student_may_learn_what_the_data_set_gives_from_its_labels_alone(
    finished: Run, dataset: Dataset, tmp_path: Path
) -> None:
    recipe = replace(
        RECIPE,
        epochs=6,
        loss="categorical_crossentropy",
        teachers=(str(finished.folder),),
        teacher_weight=1.0,
        teacher_pictures="made",
    )
    following = (dataset.train.labels + 1) % 10
    student = train_run(tmp_path, replace(dataset, train=Digits(dataset.train.images, following)), recipe, seed=0)
    theirs, ours = (predict_logits(load(run), dataset.test.images).argmax(axis=1) for run in (finished, student))
    assert np.mean((theirs + 1) % 10 == ours) > 0.8


def test_each_picture_is_learned_from_label_and_teachers_as_its_weight_says() -> None:
    recipe = replace(RECIPE, loss="categorical_crossentropy", teachers=("a",), teacher_weight=0.75)
    answers, told = np.random.default_rng(0).normal(0, 3, (2, 4, 10)).astype(np.float32)
    labels = np.array([1, 2, 3, 4], np.uint8)

    def learned(asked: list[int]) -> float:
        hints = objective.Hints(told, np.array(asked, bool))
        return float(objective.loss(recipe)(objective.targets(labels, hints, recipe), answers))

    def cross_entropy(expected: NDArray[np.float32], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.logaddexp.reduce(logits, axis=1) - (expected * logits).sum(axis=1)

    by_label = cross_entropy(np.eye(10, dtype=np.float32)[labels], answers)
    softened = np.exp(told / 4) / np.exp(told / 4).sum(axis=1, keepdims=True)
    by_teacher = cross_entropy(softened, answers / 4) * 16
    both = 0.25 * by_label + 0.75 * by_teacher
    assert learned([0, 0, 0, 0]) == pytest.approx(by_label.mean(), rel=1e-5)
    assert learned([1, 1, 1, 1]) == pytest.approx(both.mean(), rel=1e-5)
    assert learned([0, 1, 0, 1]) == pytest.approx(np.mean([by_label[0], both[1], by_label[2], both[3]]), rel=1e-5)


def test_a_teacher_of_other_classes_is_refused(finished: Run, dataset: Dataset, tmp_path: Path) -> None:
    recipe = replace(RECIPE, classes=11, loss="categorical_crossentropy", teachers=(str(finished.folder),))
    with pytest.raises(RecipeError, match="has 10 classes, the recipe 11"):
        train_run(tmp_path, dataset, recipe, seed=0)


def test_weight_decay_leaves_biases_and_scales_alone(dataset: Dataset) -> None:
    trainer = Trainer(replace(RECIPE, optimizer="adamw", weight_decay=0.01), 0, dataset)
    decayed = {
        v.path.rsplit("/", 1)[1]
        for v in trainer.model.trainable_variables
        if trainer.model.optimizer._use_weight_decay(v)
    }
    assert decayed == {"kernel"}


def test_a_source_of_batches_can_bring_its_own_digits_and_rejects(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images made on the fly, of eleven classes, train a network with a reject class."""

    def with_noise(digits: Digits, recipe: Recipe, rng: np.random.Generator, _progress: float) -> Iterator[Batch]:
        for images, labels, _ in shuffled(digits, recipe, rng):
            noise = rng.integers(0, 256, size=(10, 28, 28), dtype=np.uint8)
            yield Batch.of(np.concatenate([images, noise]), np.append(labels, np.full(10, 10, np.uint8)))

    monkeypatch.setitem(train.BATCHES, "noisy", with_noise)
    recipe = Recipe(
        "cnn_225k", classes=11, batches="noisy", loss="categorical_crossentropy", label_smoothing=0.05, epochs=4
    )
    run = train_run(tmp_path, dataset, recipe, seed=0)
    noise = np.random.default_rng(9).integers(0, 256, size=(20, 28, 28), dtype=np.uint8)
    assert (predict_logits(load(run), noise).argmax(axis=1) == 10).all()


def test_an_unknown_source_of_batches_lists_the_known(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="unknown source of batches 'other'; known: shuffled"):
        train_run(tmp_path, dataset, replace(RECIPE, batches="other"), seed=0)
    assert not list(tmp_path.iterdir())


def test_an_epoch_shows_every_digit_once(dataset: Dataset) -> None:
    batches = list(shuffled(dataset.train, RECIPE, np.random.default_rng(0)))
    assert [len(batch.labels) for batch in batches] == [50] * 6
    seen = sorted(image.tobytes() for batch in batches for image in batch.images)
    assert seen == sorted(image.tobytes() for image in dataset.train.images)
