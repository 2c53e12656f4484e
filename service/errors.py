"""What can go wrong, drawn along the way of the data.

    request --uploads--> bytes --images--> image --ink, preprocessing--> digit --classifier--> probabilities
       |        |                  |                                                |
       |        |                  InvalidImage, TooLarge                           InternalError
       |        InvalidRequest, TooLarge, UnsupportedMediaType
       Unauthorized, NotFound, MethodNotAllowed, Overloaded, Unavailable, DeadlineExceeded

Every `ServiceError` carries the HTTP status and the `code` it is answered with; its message is written for
the caller and never repeats a library's text, a memory address or a path of the server.

`StartupError` is not answered over HTTP: it stops the start, or a command, with a message for the operator.
"""

from collections.abc import Mapping
from types import MappingProxyType


class ServiceError(Exception):
    """A request, or one item of a batch, that cannot be answered with a prediction."""

    status = 500
    code = "internal_error"
    title = "Internal error"
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRequest(ServiceError):
    """The request is not of the documented form."""

    status = 400
    code = "invalid_request"
    title = "Invalid request"


class Unauthorized(ServiceError):
    """API keys are configured and the request carries none of them."""

    status = 401
    code = "unauthorized"
    title = "Unauthorized"
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})


class NotFound(ServiceError):
    """No such route."""

    status = 404
    code = "not_found"
    title = "Not found"


class MethodNotAllowed(ServiceError):
    """The route exists, but not with this method."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"{method[:20]} is not allowed here; allowed: {allowed}")
        self.headers = {"Allow": allowed}


class TooLarge(ServiceError):
    """Bytes, pixels, items or an unpacked archive over the limit."""

    status = 413
    code = "too_large"
    title = "Too large"


class UnsupportedMediaType(ServiceError):
    """The body is of a type that the route does not take."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class InvalidImage(ServiceError):
    """The bytes are no picture, or one that is truncated, corrupt or of a format not listed."""

    status = 422
    code = "invalid_image"
    title = "Invalid image"


class Overloaded(ServiceError):
    """Admission is full; the same request may succeed later."""

    status = 429
    code = "overloaded"
    title = "Overloaded"
    headers = MappingProxyType({"Retry-After": "1"})


class InternalError(ServiceError):
    """Our fault; the cause is logged with the request id and not told."""


class Unavailable(ServiceError):
    """The service is starting or draining."""

    status = 503
    code = "unavailable"
    title = "Unavailable"
    headers = MappingProxyType({"Retry-After": "1"})


class DeadlineExceeded(ServiceError):
    """The caller's or the configured deadline passed."""

    status = 504
    code = "deadline_exceeded"
    title = "Deadline exceeded"


class StartupError(Exception):
    """The service cannot start; the message says what is wrong and what is allowed."""


class SettingError(StartupError):
    """A `DIGITS_*` variable does not parse."""


class ModelError(StartupError):
    """The model file is missing, unreadable, or not what the contract describes."""


class ReviewedError(StartupError):
    """A file of reviewed results is missing, or not of the documented form."""


def shown(value: object) -> str:
    """A caller's value as it may stand in a message: short, printable, quoted."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")
