"""The stateless HTTP service that reads handwritten digits."""

import os

__version__ = "0.1.0"

# onnxruntime 1.31 on Linux sends telemetry unless this is set before the library first loads.
# Forms and cheques must not ring home; whoever wants it can set the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
