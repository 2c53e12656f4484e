"""Teachers: finished networks that a student asks about every picture it sees.

A teacher is asked as often as its student is trained, so it answers through onnxruntime, which takes a half of the time
that Keras takes. Where Keras computes with something else than TensorFlow, and nothing can be exported, it answers itself.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.errors import RecipeError
from training.network import load_keras_model, predict_logits
from training.recipe import Recipe
from training.runs import Run

# Images uint8 `[N, 28, 28]` -> logits float32 `[N, classes]`.
Teacher = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def load_teachers(recipe: Recipe) -> list[Teacher]:
    """The teachers of a recipe.

    Raises:
        RunError: a run folder has no readable model.
        RecipeError: a teacher has other classes than the recipe.
    """
    return [_load(Path(folder), recipe) for folder in recipe.teachers]


def mean_logits(teachers: Sequence[Teacher], images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What all teachers answer on average, float32 `[N, classes]`."""
    return np.asarray(np.mean([teacher(images) for teacher in teachers], axis=0), dtype=np.float32)


def _load(folder: Path, recipe: Recipe) -> Teacher:
    from training.backend import keras

    model = load_keras_model(Run.open(folder).model_path)
    if model.output_shape[-1] != recipe.classes:
        raise RecipeError(f"the teacher {folder} has {model.output_shape[-1]} classes, the recipe {recipe.classes}")
    return _exported(model) if keras.backend.backend() == "tensorflow" else partial(predict_logits, model)


def _exported(model: Any) -> Teacher:
    import onnxruntime

    from training.export import convert_logits

    options = onnxruntime.SessionOptions()
    # Trainings side by side have a core each; a picture is too little work for several threads.
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(convert_logits(model).SerializeToString(), options)

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(None, {"image": images})[0]
        return logits

    return answer
