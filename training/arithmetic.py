"""The network as it is trained: the same layers, computed in fewer passes, and in bfloat16 where the recipe says so.

Keras normalises a batch step by step, each step one pass over all activations. TensorFlow has one operation for all of
them, with the same result but for rounding, which shortens a step of our network by a quarter. With `mixed_bfloat16`
activations are rounded to eight bits of mantissa, while weights, statistics and the last layer stay float32; that
halves a step where the processor multiplies such numbers itself (AMX, AVX512-BF16), and lengthens it elsewhere.
"""

from functools import cache
from typing import Any

from training.recipe import Precision


def as_trained(model: Any, precision: Precision) -> Any:
    """A copy of a network with the same weights, in the same order, to be trained but not saved.

    It is the network itself where nothing would be computed otherwise.
    """
    from training.backend import keras

    normalization = keras.layers.BatchNormalization
    fused = keras.backend.backend() == "tensorflow"
    if precision == "float32" and not (fused and any(isinstance(layer, normalization) for layer in model.layers)):
        return model

    def copy(layer: Any) -> Any:
        kind = _fused_normalization() if fused and type(layer) is normalization else type(layer)
        return kind.from_config(layer.get_config() | {"dtype": "float32" if layer is model.layers[-1] else precision})

    trained = keras.models.clone_model(model, clone_function=copy)
    trained.set_weights(model.get_weights())
    return trained


@cache
def _fused_normalization() -> type[Any]:
    import tensorflow as tf

    from training.backend import keras

    class FusedNormalization(keras.layers.BatchNormalization):  # type: ignore[misc] # Keras is not typed
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
            if not (training and self.trainable) or len(inputs.shape) != 4 or mask is not None:
                return super().call(inputs, training=training, mask=mask)
            outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
                inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
            )
            # It tells the unbiased variance, Keras keeps the other.
            count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], tf.float32)
            for moving, value in (
                (self.moving_mean, mean),
                (self.moving_variance, variance * (count - 1) / count),
            ):
                moving.assign(moving * self.momentum + value * (1 - self.momentum))
            return outputs

    return FusedNormalization
