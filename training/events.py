"""The history of a run as TensorBoard reads it: `tensorboard --logdir runs` compares runs while they train.

Written with TensorFlow's own writer, so that TensorBoard need not be installed where networks are trained.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_SCALARS = "scalars"  # the name of TensorBoard's plugin for curves


class EventLog:
    """Event files in a folder; a resumed run adds a file, and TensorBoard reads them as one."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._tf = tf
        self._writer = tf.summary.create_file_writer(str(folder))
        self._metadata = tf.compat.v1.SummaryMetadata()
        self._metadata.plugin_data.plugin_name = _SCALARS

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, epoch: int, entry: Mapping[str, float]) -> None:
        """Add one point to each curve, at once visible to a TensorBoard that watches."""
        with self._writer.as_default():
            for name, value in entry.items():
                self._tf.summary.write(name, self._tf.constant(value, self._tf.float32), epoch, self._metadata)
        self._writer.flush()
