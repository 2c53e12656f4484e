"""What Schemathesis cannot guess from the OpenAPI document: pictures, pictures in base64, and tensors that hold them."""

import base64
from typing import Any

import orjson
import schemathesis
from hypothesis import strategies as st

from tests import pictures

MOST_ITEMS = 4


def pictures_of(*kinds: str) -> st.SearchStrategy[bytes]:
    """Encoded pictures of digits in one of these formats, from a single pixel to a scanned cell."""
    return st.builds(
        lambda digit, size, kind: pictures.encode(pictures.draw(digit, size), kind),
        st.integers(0, 9),
        st.sampled_from((1, 3, 28, 64, 120)),
        st.sampled_from(kinds),
    )


ANY_PICTURE = pictures_of("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
BASE64 = ANY_PICTURE.map(lambda data: base64.b64encode(data).decode())
ARCHIVES = st.lists(ANY_PICTURE, min_size=1, max_size=MOST_ITEMS).map(
    lambda members: pictures.archive({f"{index}.png": member for index, member in enumerate(members)})
)

for kind in ("png", "jpeg", "bmp", "gif", "tiff", "webp"):
    schemathesis.openapi.media_type(f"image/{kind}", pictures_of(kind.upper()))
schemathesis.openapi.media_type("application/octet-stream", ANY_PICTURE)
schemathesis.openapi.media_type("application/zip", ARCHIVES)
schemathesis.openapi.format("byte", BASE64)
schemathesis.openapi.format(
    "length-range",
    st.lists(st.integers(1, 64), min_size=1, max_size=2).map(lambda ends: "-".join(map(str, sorted(ends)))),
)


SEVEN = base64.b64encode(pictures.png(7)).decode()
TENSORS = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [SEVEN]}]}


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Let the shape and the data of valid tensors agree, which no schema can say."""
    if case.method != "POST" or not case.path.endswith("infer"):
        return
    if case.media_type == "application/octet-stream":
        # The protocol's binary form begins with JSON, whatever bytes may follow.
        case.body = orjson.dumps(TENSORS)
    elif case.meta and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
        [tensor] = case.body["inputs"]
        count = 1 + len(tensor["data"]) % MOST_ITEMS
        if tensor["datatype"] == "BYTES":
            case.body["inputs"] = [tensor | {"shape": [count], "data": [SEVEN] * count}]
        else:
            case.body["inputs"] = [tensor | {"shape": [count, 28, 28], "data": [count] * (count * 784)}]
