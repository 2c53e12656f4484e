"""Errors as `application/problem+json` (RFC 9457), or as the Open Inference Protocol has them; and the id of a request."""

import random
import re

import orjson
from starlette.responses import Response
from starlette.types import Scope

from service.errors import ServiceError

MEDIA_TYPE = "application/problem+json"

_SANE_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")


def request_id(sent: bytes) -> str:
    """The caller's id if it is sane, else a new one."""
    return sent.decode() if _SANE_ID.fullmatch(sent) else f"{random.getrandbits(128):032x}"


def problem_response(error: ServiceError, scope: Scope) -> Response:
    """The answer to a request that failed with `error`."""
    if _speaks_open_inference(scope):
        return Response(orjson.dumps({"error": error.detail}), error.status, error.headers, "application/json")
    content = problem_json(error, scope["path"], scope["state"]["request_id"])
    return Response(content, error.status, error.headers, MEDIA_TYPE)


def problem_json(error: ServiceError, instance: str, identity: str) -> bytes:
    """The body of such an answer."""
    return orjson.dumps(
        {
            "type": f"urn:digits:problem:{error.code}",
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            "instance": instance,
            "code": error.code,
            "request_id": identity,
        }
    )


def _speaks_open_inference(scope: Scope) -> bool:
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path == "/v2" or path.startswith("/v2/")
