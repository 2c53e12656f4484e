"""Model files -> onnxruntime sessions, all of which run alike: on one thread, keeping no memory."""

import hashlib
from pathlib import Path

import onnxruntime

from service.errors import ModelError


def open_session(path: Path, what: str = "model file") -> tuple[onnxruntime.InferenceSession, str]:
    """The network of a file, and the file's sha256.

    Raises:
        ModelError: the file is missing, or no ONNX model; the message says `what` it is and names it.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise ModelError(f"the {what} {path} cannot be read: {exc.strerror or exc}") from exc
    try:
        session = onnxruntime.InferenceSession(data, _options(), providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime's errors share no nearer base class
        raise ModelError(f"the {what} {path} ({len(data)} bytes) is not a readable ONNX model") from exc
    return session, hashlib.sha256(data).hexdigest()


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # The arena keeps the memory of the largest batch for ever; runs are small enough without it.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return options
