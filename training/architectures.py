"""ARCHITECTURES: name -> how to build the network, how many parameters it has, how it is trained by default.

A builder takes the number of classes (10, or 11 with "no digit") and returns a Keras model from float32
`[N, 28, 28, 1]` in 0..1 to logits `[N, classes]`: softmax, temperature and scaling belong to the exported graph.
Only Keras layers and operations are used, so that any Keras backend can train them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training.errors import RecipeError
from training.graphs import inline
from training.recipe import Recipe

INPUT_SHAPE = (28, 28, 1)


@dataclass(frozen=True)
class Architecture:
    """A network with its `parameters` at ten classes, trainable and not, those of each class, and its default recipe."""

    build: Callable[[int], Any]
    parameters: int
    per_class: int
    recipe: Recipe

    def parameters_at(self, classes: int) -> int:
        """How many parameters the network has at a number of classes."""
        return self.parameters + (classes - 10) * self.per_class


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


def build_cnn_32_64_dense256(classes: int) -> Any:
    """One pooling only: most of its weights lie between 9,216 features and 256 hidden units."""
    from training.backend import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            layers.Conv2D(32, 3, activation="relu"),  # 26x26x32
            layers.Conv2D(64, 3, activation="relu"),  # 24x24x64
            layers.MaxPooling2D(),  # 12x12x64
            layers.Dropout(0.25),
            layers.Flatten(),  # 9216
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(classes),
        ],
        name="cnn_32_64_dense256",
    )


def build_cnn_32_64_64_dense64(classes: int) -> Any:
    """Three convolutions, two poolings, a narrow hidden layer, no dropout."""
    from training.backend import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            layers.Conv2D(32, 3, activation="relu"),  # 26x26x32
            layers.MaxPooling2D(),  # 13x13x32
            layers.Conv2D(64, 3, activation="relu"),  # 11x11x64
            layers.MaxPooling2D(),  # 5x5x64
            layers.Conv2D(64, 3, activation="relu"),  # 3x3x64
            layers.Flatten(),  # 576
            layers.Dense(64, activation="relu"),
            layers.Dense(classes),
        ],
        name="cnn_32_64_64_dense64",
    )


def build_cnn_887k(classes: int) -> Any:
    """A pair of 5x5 and a pair of 3x3 convolutions, each followed by pooling and dropout."""
    from training.backend import keras

    layers = keras.layers

    def pair(channels: int, kernel: int) -> list[Any]:
        convolutions = [layers.Conv2D(channels, kernel, padding="same", activation="relu") for _ in range(2)]
        return [*convolutions, layers.MaxPooling2D(), layers.Dropout(0.25)]

    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            *pair(32, 5),  # 14x14x32
            *pair(64, 3),  # 7x7x64
            layers.Flatten(),  # 3136
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(classes),
        ],
        name="cnn_887k",
    )


def build_lenet5(classes: int) -> Any:
    """LeNet-5 (Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998).

    As it is usually rebuilt: every map of the second convolution sees all six, pooling has no weights of its own, and
    a softmax takes the place of the radial basis functions.
    """
    from training.backend import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            layers.Conv2D(6, 5, padding="same", activation="tanh"),  # 28x28x6
            layers.AveragePooling2D(2),  # 14x14x6
            layers.Conv2D(16, 5, activation="tanh"),  # 10x10x16
            layers.AveragePooling2D(2),  # 5x5x16
            layers.Flatten(),  # 400
            layers.Dense(120, activation="tanh"),
            layers.Dense(84, activation="tanh"),
            layers.Dense(classes),
        ],
        name="lenet5",
    )


def build_mlp(classes: int) -> Any:
    """No convolution: two hidden layers of 512 units with dropout, the multilayer perceptron of Keras's examples."""
    from training.backend import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            layers.Flatten(),  # 784
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(classes),
        ],
        name="mlp",
    )


def build_residual(classes: int) -> Any:
    """A small residual network of seven convolutions (K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning", 2016)."""
    from training.backend import keras

    layers = keras.layers

    def convolution(x: Any, channels: int, kernel: int = 3, strides: int = 1) -> Any:
        x = layers.Conv2D(
            channels, kernel, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal"
        )(x)
        return layers.BatchNormalization()(x)

    def block(x: Any, channels: int, strides: int) -> Any:
        shortcut = x if strides == 1 else convolution(x, channels, 1, strides)
        x = layers.ReLU()(convolution(x, channels, strides=strides))
        return layers.ReLU()(layers.Add()([shortcut, convolution(x, channels)]))

    image = keras.Input(INPUT_SHAPE)
    x = layers.ReLU()(convolution(image, 16, strides=2))  # 14x14x16
    for channels, strides in ((16, 1), (32, 2), (64, 2)):  # 14x14x16, 7x7x32, 4x4x64
        x = block(x, channels, strides)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(classes)(x), name="residual")


def build_densely_connected(classes: int) -> Any:
    """A small densely connected network, growth 12 (G. Huang, Z. Liu, L. van der Maaten, K. Weinberger, 2017)."""
    from training.backend import keras

    layers = keras.layers

    def convolution(x: Any, channels: int, kernel: int) -> Any:
        x = layers.ReLU()(layers.BatchNormalization()(x))
        return layers.Conv2D(channels, kernel, padding="same", use_bias=False, kernel_initializer="he_normal")(x)

    image = keras.Input(INPUT_SHAPE)
    x = layers.Conv2D(24, 3, strides=2, padding="same", use_bias=False, kernel_initializer="he_normal")(image)
    for block in range(2):  # 14x14, 7x7
        for _ in range(4):
            x = layers.Concatenate()([x, convolution(x, 12, 3)])
        if block == 0:
            x = layers.AveragePooling2D(2)(convolution(x, x.shape[-1] // 2, 1))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(classes)(x), name="densely_connected")


def build_ours(classes: int) -> Any:
    """The released network: narrow where the picture is large, deep where it is small.

    Of networks that cost the same, those of more and narrower convolutions read better. The last one covers all that is
    left. Convolution without bias, normalisation and ReLU become one convolution when exported. Numbers of channels are
    multiples of 16, as runtimes lay them out.
    """
    from training.backend import keras

    layers = keras.layers

    def convolution(channels: int, stride: int = 1, padding: str = "valid") -> list[Any]:
        return [
            layers.Conv2D(channels, 3, stride, padding, use_bias=False, kernel_initializer="he_normal"),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]

    return keras.Sequential(
        [
            keras.Input(INPUT_SHAPE),
            *convolution(16),  # 26x26x16
            *convolution(32, stride=2),  # 12x12x32
            *convolution(32),  # 10x10x32
            *convolution(48),  # 8x8x48
            *convolution(64, padding="same"),  # 8x8x64
            *convolution(64),  # 6x6x64
            layers.MaxPooling2D(),  # 3x3x64
            *convolution(256),  # 1x1x256
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(classes),
        ],
        name="ours",
    )


OURS = Recipe(
    "ours",
    classes=11,
    epochs=110,
    batches="taught",
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=0.02,
    schedule="cosine",
    warmup=0.05,
    ema=0.999,
    precision="mixed_bfloat16",
)

ARCHITECTURES: dict[str, Architecture] = {
    "cnn_225k": Architecture(build_cnn_225k, 225_034, 129, Recipe("cnn_225k")),
    "cnn_32_64_dense256": Architecture(
        build_cnn_32_64_dense256, 2_380_938, 257, Recipe("cnn_32_64_dense256", epochs=10, validation_share=0.3)
    ),
    "cnn_32_64_64_dense64": Architecture(
        build_cnn_32_64_64_dense64,
        93_322,
        65,
        Recipe("cnn_32_64_64_dense64", epochs=5, batch_size=64, loss="categorical_crossentropy", optimizer="rmsprop"),
    ),
    "cnn_887k": Architecture(
        build_cnn_887k,
        887_530,
        257,
        Recipe(
            "cnn_887k",
            epochs=30,
            batch_size=86,
            batches="moved",
            loss="categorical_crossentropy",
            optimizer="rmsprop",
            plateau=3,
            early_stopping=8,
        ),
    ),
    # The paper trains 20 passes with a falling rate; its diagonal Levenberg-Marquardt steps are momentum here.
    "lenet5": Architecture(
        build_lenet5,
        61_706,
        85,
        Recipe("lenet5", epochs=20, optimizer="sgd", learning_rate=0.02, momentum=0.9, schedule="cosine"),
    ),
    "mlp": Architecture(
        build_mlp, 669_706, 513, Recipe("mlp", epochs=20, loss="categorical_crossentropy", optimizer="rmsprop")
    ),
    # The papers divide the rate of momentum by ten twice; a cosine needs no epochs to be named.
    "residual": Architecture(
        build_residual,
        78_426,
        65,
        Recipe(
            "residual",
            epochs=15,
            optimizer="sgd",
            learning_rate=0.1,
            momentum=0.9,
            weight_decay=1e-4,
            schedule="cosine",
            warmup=0.05,
        ),
    ),
    "densely_connected": Architecture(
        build_densely_connected,
        47_290,
        85,
        Recipe(
            "densely_connected",
            epochs=15,
            batch_size=64,
            optimizer="sgd",
            learning_rate=0.1,
            momentum=0.9,
            weight_decay=1e-4,
            schedule="cosine",
            warmup=0.05,
        ),
    ),
    "ours": Architecture(build_ours, 244_378, 257, OURS),
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
    """Build the network of a recipe; the count of its parameters is checked."""
    architecture = find_architecture(recipe.architecture)
    model = architecture.build(recipe.classes)
    assert model.count_params() == architecture.parameters_at(recipe.classes), (
        recipe.architecture,
        model.count_params(),
    )
    return normalizing_columns(model) if recipe.normalize == "columns" else model


def normalizing_columns(model: Any) -> Any:
    """The same network behind a layer that brings each column of the image to length 1, empty ones staying empty."""
    from training.backend import keras

    image = keras.Input(INPUT_SHAPE)
    columns = keras.layers.UnitNormalization(axis=1, name="columns")(image)
    return keras.Model(image, inline(model, columns), name=model.name)
