"""What FastAPI cannot read off the routes, because they take the body themselves: bodies, headers, errors."""

from typing import Any

from service import auth, errors
from service.examples import add_examples
from service.problems import MEDIA_TYPE
from service.schemas import (
    BatchRequest,
    DecideOptions,
    FieldBatchRequest,
    FieldOptions,
    ImageRequest,
    InferenceError,
    InferenceRequest,
    Problem,
    ReadOptions,
)

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_PICTURE_TYPES = ("image/png", "image/jpeg", "image/bmp", "image/gif", "image/tiff", "image/webp")

_DESCRIPTIONS = {
    cls.status: f"`{cls.code}`: {cls.__doc__}"
    for cls in errors.ServiceError.__subclasses__()
    if cls is not errors.InternalError
} | {500: "`internal_error`: our fault; logged with the request id, nothing of it in the body."}


_PROBLEMS = {
    cls.status: {
        "type": f"urn:digits:problem:{cls.code}",
        "title": cls.title,
        "status": cls.status,
        "detail": (cls.__doc__ or "").rstrip("."),
        "instance": "/predict",
        "code": cls.code,
        "request_id": "5f0c1a7e2b9d4c3f8a6e1d2c3b4a5f60",
    }
    for cls in errors.ServiceError.__subclasses__()
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for these error statuses."""
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": _PROBLEMS[status]}},
        }
        for status in statuses
    }


def inference_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same for the routes of the Open Inference Protocol, whose errors have a shape of their own."""
    schema = {"schema": {"$ref": "#/components/schemas/InferenceError"}}
    return {
        status: {"description": _DESCRIPTIONS[status], "content": {"application/json": schema}} for status in statuses
    }


def _form(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"schema": {"type": "object", "required": [field], "properties": {field: schema}}}


def _parameters(options: type[DecideOptions]) -> list[dict[str, Any]]:
    """The query parameters, which the routes read themselves."""
    schema = options.model_json_schema()
    return [
        {"in": "query", "name": name, "required": False, "description": entry.pop("description"), "schema": entry}
        for name, entry in schema["properties"].items()
    ]


def _body(description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "description": description, "content": content}}


_ONE_PICTURE = _body(
    "The picture, in one of three forms with the same result. The bytes decide the format.",
    dict.fromkeys((*_PICTURE_TYPES, "application/octet-stream"), _BINARY)
    | {
        "multipart/form-data": _form("file", {"type": "string", "format": "binary"}),
        "application/json": {"schema": {"$ref": "#/components/schemas/ImageRequest"}},
    },
)


def _many_pictures(schema: str) -> dict[str, Any]:
    return _body(
        "The pictures, in one of four forms. A bad one is answered with its error and harms no other.",
        {
            "multipart/form-data": _form(
                "files", {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
            ),
            "application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}},
            "application/zip": _BINARY,
            "image/tiff": _BINARY,
        },
    )


PREDICT = {"parameters": _parameters(ReadOptions)} | _ONE_PICTURE
PREDICT_BATCH = {"parameters": _parameters(ReadOptions)} | _many_pictures("BatchRequest")
PREDICT_FIELD = {"parameters": _parameters(FieldOptions)} | _ONE_PICTURE
PREDICT_FIELD_BATCH = {"parameters": _parameters(FieldOptions)} | _many_pictures("FieldBatchRequest")

INFER = _body(
    "The tensor `image` with its data in the JSON; or, with the header `Inference-Header-Content-Length`, the JSON "
    "followed by the data.",
    {
        "application/json": {"schema": {"$ref": "#/components/schemas/InferenceRequest"}},
        "application/octet-stream": _BINARY,
    },
)


# Who may ask, where API keys are configured.
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def complete(document: dict[str, Any], *, keys: bool = False) -> dict[str, Any]:
    """Add the schemas that the bodies and errors refer to, and who may ask; with `keys`, that a key is needed."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (Problem, ImageRequest, BatchRequest, FieldBatchRequest, InferenceError, InferenceRequest):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    components["securitySchemes"] = _KEYS
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete_operation(path, operation, keys=keys)
    add_examples(document)
    return document


def _complete_operation(path: str, operation: dict[str, Any], *, keys: bool) -> None:
    of_inference = path.startswith("/v2")
    if path not in auth.OPEN_PATHS:
        refusal = inference_errors(401) if of_inference else problems(401)
        operation["responses"] |= {str(status): response for status, response in refusal.items()}
        if keys:
            operation["security"] = [{name: []} for name in _KEYS]
    if of_inference:
        _drop_what_fastapi_guessed(path, operation)
    _add_internal_error(operation, of_inference=of_inference)
    for status, response in operation["responses"].items():
        response["headers"] = _headers(path, status)
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        if media_type == "multipart/form-data":
            kinds = ", ".join((*_PICTURE_TYPES, "application/octet-stream"))
            content["encoding"] = {name: {"contentType": kinds} for name in content["schema"]["properties"]}


def _add_internal_error(operation: dict[str, Any], *, of_inference: bool) -> None:
    [error] = (inference_errors(500) if of_inference else problems(500)).values()
    operation["responses"].setdefault("500", error)


def _headers(path: str, status: str) -> dict[str, Any]:
    """What is said beside each answer."""
    headers = {"X-Request-ID": _header("The caller's id of the request if it sent a sane one, else a new one.")}
    if status == "200" and path.startswith("/predict"):
        headers["Server-Timing"] = _header("Milliseconds of read, decode, normalize, queue and infer.")
    if status in ("429", "503"):
        headers["Retry-After"] = _header("Seconds after which to ask again.")
    return headers


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _drop_what_fastapi_guessed(path: str, operation: dict[str, Any]) -> None:
    """A version only where the path has one; and names that are any text are never invalid."""
    parameters = [entry for entry in operation.get("parameters", ()) if f"{{{entry['name']}}}" in path]
    for entry in parameters:
        entry["schema"] = {"type": "string"}
    operation["parameters"] = parameters
    operation["responses"] = {
        status: response
        for status, response in operation["responses"].items()
        if "HTTPValidationError" not in str(response)
    }
