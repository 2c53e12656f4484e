"""The offline package: MNIST in, a released ONNX model out."""
