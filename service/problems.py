"""Errors as `application/problem+json` (RFC 9457)."""

import orjson
from starlette.responses import Response
from starlette.types import Scope

from service.errors import ServiceError

MEDIA_TYPE = "application/problem+json"


def problem_response(error: ServiceError, scope: Scope) -> Response:
    """The answer to a request that failed with `error`."""
    problem = {
        "type": f"urn:digits:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": scope["path"],
        "code": error.code,
        "request_id": scope["state"]["request_id"],
    }
    return Response(orjson.dumps(problem), error.status, error.headers, MEDIA_TYPE)
