"""Forms are split in one go where they are of the usual form, and then as the parser would have taken them apart."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import ServiceError
from service.forms import FormReader, Part, split_form
from service.limits import Limits

LIMITS = Limits(image_bytes=40, batch_bytes=10_000, unpacked_bytes=10_000, batch_items=3)

HEADERS = [
    'Content-Disposition: form-data; name="file"; filename="7.png"',
    'Content-Disposition: form-data; name="files"; filename="a b.png"',
    'content-disposition:form-data; name="files"',
    'Content-Disposition: form-data; name="files"; filename="quoted \\" name"',
    "Content-Disposition: form-data; name=file",
    "Content-Disposition: attachment",
    "Content-Type: image/png",
    "Content Type: image/png",
    "X-Note:",
    "no header",
    " folded",
    "",
]
CONTENTS = [b"", b"\x89PNG...", b"\r\n", b"--x", b"\r\n--xy", b"\r\n\r\n", b"a" * 41, b"\r\r\n"]
PARTS = st.tuples(st.lists(st.sampled_from(HEADERS), max_size=5), st.sampled_from(CONTENTS))


def form(parts: list[tuple[list[str], bytes]], end: bytes) -> bytes:
    written = [b"".join([f"{line}\r\n".encode() for line in head]) + b"\r\n" + content for head, content in parts]
    return b"--x\r\n" + b"\r\n--x\r\n".join(written) + end


def parse(data: bytes) -> tuple[Part, ...] | str:
    form = FormReader(b"x", LIMITS)
    try:
        form.take(data)
        return form.finish()
    except ServiceError as error:
        return error.code


@settings(max_examples=500, deadline=None)
@given(
    st.lists(PARTS, max_size=5), st.sampled_from([b"\r\n--x--\r\n", b"\r\n--x--", b"\r\n--x--\r\nmore", b"\r\n", b""])
)
def test_splitting_agrees_with_parsing(parts: list[tuple[list[str], bytes]], end: bytes) -> None:
    data = form(parts, end)
    split = split_form(data, b"x", LIMITS)
    assert split is None or split == parse(data)


def test_what_browsers_and_curl_send_is_split() -> None:
    curl = [HEADERS[0], HEADERS[6]]
    assert split_form(form([(curl, b"\x89PNG")], b"\r\n--x--\r\n"), b"x", LIMITS) == (
        Part("file", "7.png", b"\x89PNG"),
    )
