"""The offline package: MNIST in, a released ONNX model out."""

import os

# TensorFlow and onnxruntime speak before anybody could ask them not to; see service/__init__.py for the telemetry.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
