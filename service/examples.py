"""Examples for OpenAPI, put together from those of each member, so that none can differ from its schema."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_OF_TYPE = {"string": "...", "integer": 1, "number": 0.5, "boolean": True, "object": {}}


def add_examples(document: dict[str, Any]) -> None:
    """Give each JSON body, sent or answered, an example."""
    schemas = document["components"]["schemas"]
    for operations in document["paths"].values():
        for operation in operations.values():
            for carrier in (operation.get("requestBody", {}), *operation["responses"].values()):
                for media_type, content in carrier.get("content", {}).items():
                    if media_type.endswith("json") and "schema" in content:
                        content.setdefault("example", example_of(content["schema"], schemas))


def example_of(schema: Schema, schemas: Mapping[str, Schema]) -> Any:
    """A value that the schema allows; `schemas` are those that it may refer to."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema or "const" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)] if "items" in schema else []
    if "properties" in schema:
        wanted = {name: part for name, part in schema["properties"].items() if _is_told(name, part, schema)}
        return {name: example_of(part, schemas) for name, part in wanted.items()}
    return _OF_TYPE.get(schema.get("type", "object"))


def _is_told(name: str, part: Schema, schema: Schema) -> bool:
    """What may be left out is left out, unless it has an example of its own."""
    return name in schema.get("required", ()) or "examples" in part
