"""Keras, imported quietly and set up so that equal seeds give equal weights.

Import it inside the functions that need it (`from training.backend import keras`): TensorFlow takes seconds to load.
"""

import contextlib
import logging
import os
from collections.abc import Iterator


@contextlib.contextmanager
def silenced_stderr() -> Iterator[None]:
    """TensorFlow's C++ side greets on file descriptor 2 before its log level is read; exceptions still pass."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


with silenced_stderr():
    import keras

# Keras warns through absl that .h5 is an old format; whoever asks for it knows.
logging.getLogger("absl").setLevel(logging.ERROR)


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and Keras, and ask TensorFlow for operations that repeat bit for bit."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


__all__ = ["keras", "seed_everything", "silenced_stderr"]
