"""An epoch of what our network is taught: as many pictures as digits, every kind in its share."""

from dataclasses import fields, replace
from itertools import chain

import numpy as np
import pytest

from training import curriculum
from training.augment import GENTLE, STANDARD, Augmentation, augment
from training.curriculum import SOURCES, Shares, make_stock, mix, taught
from training.data import Digits
from training.drawing import draw_digits
from training.recipe import Recipe


@pytest.fixture(scope="module")
def digits():
    return Digits(*draw_digits(300, np.random.default_rng(0)))


@pytest.fixture
def small_stock(monkeypatch, digits):
    stock = make_stock(digits, 60)
    monkeypatch.setattr(curriculum, "make_stock", lambda *_: stock)
    return stock


def test_a_stock_holds_each_kind(digits):
    stock = make_stock(digits, 60)
    assert len(stock.drawn) == len(stock.negatives) == len(stock.rescanned) == len(stock.cells) == 60
    assert set(stock.negatives.labels) == {10}
    assert set(stock.drawn.labels) == set(range(10))


def test_a_stock_is_drawn_once(digits):
    assert make_stock(digits, 60) is make_stock(digits, size=60)


def test_a_stock_drawn_by_several_processes_is_the_same(digits, monkeypatch):
    monkeypatch.setattr(curriculum, "_PORTION", 25)
    curriculum._draw_stock.cache_clear()
    stock = make_stock(digits, 60)
    portions = [
        curriculum._draw_portion(digits, curriculum.STOCK_SEED, *each) for each in ((0, 25), (25, 25), (50, 10))
    ]
    for kind in fields(stock):
        images = np.concatenate([getattr(portion, kind.name).images for portion in portions])
        assert np.array_equal(getattr(stock, kind.name).images, images)
    monkeypatch.undo()
    curriculum._draw_stock.cache_clear()


def test_an_epoch_has_as_many_pictures_as_there_are_digits(digits, small_stock):
    batches = list(taught(digits, Recipe("ours", classes=11, batch_size=64), np.random.default_rng(1), 0))
    assert [len(batch.labels) for batch in batches] == [64, 64, 64, 64, 44]
    assert all(batch.images.shape[1:] == (28, 28) and batch.images.dtype == np.uint8 for batch in batches)


def test_every_kind_has_its_share(digits):
    mixed = mix(digits, make_stock(digits, 60), np.random.default_rng(2), STANDARD, Shares(negatives=0.3))
    assert (mixed.labels == 10).mean() == pytest.approx(0.3, abs=0.01)


def test_what_the_data_set_gave_is_told_from_what_code_made(digits):
    as_it_is = Shares(drawn=0.2, negatives=0.1, rescanned=0.1, cells=0.1, plain=1)
    mixed = mix(digits, make_stock(digits, 60), np.random.default_rng(2), STANDARD, as_it_is)
    assert mixed.given.mean() == pytest.approx(0.5, abs=0.01)
    assert not mixed.given[mixed.labels == 10].any()
    known = {image.tobytes() for image in digits.images}
    assert np.array_equal(mixed.given, [image.tobytes() in known for image in mixed.images])


def test_mostly_mnist_means_seven_of_ten(digits, small_stock):
    given = [
        batch.given for batch in SOURCES["taught_mostly_mnist"](digits, Recipe("ours"), np.random.default_rng(5), 0)
    ]
    assert np.concatenate(given).mean() == pytest.approx(0.71, abs=0.01)


def test_an_ablation_leaves_one_ingredient_out(digits, small_stock):
    batches = SOURCES["taught_without_negatives"](digits, Recipe("ours"), np.random.default_rng(5), 0)
    assert max(batch.labels.max() for batch in batches) <= 9


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("affine", ("rotation", "scale", "shear", "shift", "wide")),
        ("elastic", ("elastic",)),
        ("weight", ("weight",)),
        ("effects", ("effect",)),
    ],
)
def test_an_ablation_leaves_one_kind_of_augmentation_out(digits, small_stock, monkeypatch, name, fields):
    used = []
    monkeypatch.setattr(curriculum, "augment", lambda images, rng, how: used.append(how) or images)
    for progress in (0.0, 0.9):
        list(SOURCES[f"taught_without_{name}"](digits, Recipe("ours", classes=11), np.random.default_rng(4), progress))
    none = dict.fromkeys(fields, 0)
    assert used == [replace(STANDARD, **none), replace(GENTLE, **none)]


def test_an_ablation_leaves_the_gentle_end_out(digits, small_stock, monkeypatch):
    used = []
    monkeypatch.setattr(curriculum, "augment", lambda images, rng, how: used.append(how) or images)
    list(SOURCES["taught_without_gentle_end"](digits, Recipe("ours", classes=11), np.random.default_rng(4), 0.9))
    assert used == [STANDARD]


def test_augmentation_bears_to_have_nothing_to_do(digits):
    nothing = Augmentation(*[0.0] * len(fields(Augmentation)))
    assert np.array_equal(augment(digits.images, np.random.default_rng(0), nothing), digits.images)


def test_the_same_seed_gives_the_same_epoch(digits, small_stock):
    recipe = Recipe("ours", classes=11)
    first, again = (list(taught(digits, recipe, np.random.default_rng(3), 0)) for _ in range(2))
    assert all(map(np.array_equal, chain(*first), chain(*again)))


def test_the_last_epochs_are_gentle(digits, small_stock, monkeypatch):
    used = []
    monkeypatch.setattr(curriculum, "augment", lambda images, rng, how: used.append(how) or images)
    for progress in (0.0, 0.79, 0.8, 0.99):
        list(taught(digits, Recipe("ours", classes=11), np.random.default_rng(4), progress))
    assert used == [STANDARD, STANDARD, GENTLE, GENTLE]
