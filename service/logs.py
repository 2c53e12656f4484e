"""Log lines: text for people, JSON for machines. Never a picture, a digit of a caller or a key."""

import ctypes
import json
import logging
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from PIL import _imaging  # noqa: F401  loads libtiff

LOGGER = logging.getLogger("digits")

_RESERVED = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what the call added, and the exception if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """`time level message key=value ...`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        extra = " ".join(f"{key}={value}" for key, value in _extra(record).items())
        return f"{super().formatMessage(record)} {extra}".rstrip()


def configure(log_format: Literal["text", "json"], level: str) -> None:
    """Send the service's and uvicorn's log lines to standard error in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    for name in ("digits", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
    _silence_libtiff()
    # The multipart parser logs a warning for every malformed form; its sender gets a 400 that says so.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def _silence_libtiff() -> None:
    """Keep libtiff from writing what it finds odd in an upload, values and all, onto standard error.

    Pillow leaves it the handlers that print. Where the library cannot be found, as outside Linux, it goes on printing.
    """
    with suppress(OSError, AttributeError):
        maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        for path in {line.split(maxsplit=5)[5] for line in maps if "/libtiff" in line}:
            library = ctypes.CDLL(path)
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _RESERVED}
