"""ARCHITECTURES: name -> how to build the network, how many parameters it has, how it is trained by default.

A builder takes the number of classes (10, or 11 with "no digit") and returns a Keras model from float32
`[N, 28, 28, 1]` in 0..1 to logits `[N, classes]`: softmax, temperature and scaling belong to the exported graph.
Only Keras layers and operations are used, so that any Keras backend can train them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training.errors import RecipeError
from training.recipe import Recipe

INPUT_SHAPE = (28, 28, 1)


@dataclass(frozen=True)
class Architecture:
    """A network with its `parameters` at ten classes, trainable and not, and its default recipe."""

    build: Callable[[int], Any]
    parameters: int
    recipe: Recipe


def build_cnn_225k(classes: int) -> Any:
    """The network most MNIST tutorials share: two convolutions, two poolings, dropout, one hidden layer."""
    from training.backend import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            layers.Conv2D(32, 3, activation="relu"),  # 26x26x32
            layers.MaxPooling2D(),  # 13x13x32
            layers.Conv2D(64, 3, activation="relu"),  # 11x11x64
            layers.MaxPooling2D(),  # 5x5x64
            layers.Flatten(),  # 1600
            layers.Dropout(0.5),
            layers.Dense(128, activation="relu"),
            layers.Dense(classes),
        ],
        name="cnn_225k",
    )


def build_ours(classes: int) -> Any:
    """The released network: few convolutions where the picture is large, most of its weights where it is small.

    No layer pads, and the last convolution covers all that is left. Convolution without bias, normalisation and ReLU
    become one convolution when exported.
    """
    from training.backend import keras

    layers = keras.layers

    def convolution(size: int, channels: int, stride: int = 1) -> list[Any]:
        return [
            layers.Conv2D(channels, size, stride, use_bias=False, kernel_initializer="he_normal"),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]

    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            *convolution(3, 16),  # 26x26x16
            *convolution(3, 32, stride=2),  # 12x12x32
            *convolution(3, 64),  # 10x10x64
            *convolution(3, 64),  # 8x8x64
            layers.MaxPooling2D(),  # 4x4x64
            *convolution(4, 128),  # 1x1x128
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(classes),
        ],
        name="ours",
    )


OURS = Recipe(
    "ours",
    classes=11,
    epochs=60,
    batches="taught",
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=0.02,
    schedule="cosine",
    warmup=0.05,
    ema=0.999,
)

ARCHITECTURES: dict[str, Architecture] = {
    "cnn_225k": Architecture(build_cnn_225k, 225_034, Recipe("cnn_225k")),
    "ours": Architecture(build_ours, 193_626, OURS),
}


def find_architecture(name: str) -> Architecture:
    """Look an architecture up.

    Raises:
        RecipeError: there is none of this name; the message lists the known.
    """
    try:
        return ARCHITECTURES[name]
    except KeyError:
        raise RecipeError(f"unknown architecture {name!r}; known: {', '.join(ARCHITECTURES)}") from None


def build(recipe: Recipe) -> Any:
    """Build the network of a recipe; the count of its parameters is checked where it has ten classes."""
    architecture = find_architecture(recipe.architecture)
    model = architecture.build(recipe.classes)
    if recipe.classes == 10:
        assert model.count_params() == architecture.parameters, (recipe.architecture, model.count_params())
    return model
