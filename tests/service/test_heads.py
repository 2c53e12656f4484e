"""Requests that are recognised by their head, without being parsed."""

import pytest

from service.heads import Head, Heads

ROUTES = {b"/predict": "/predict", b"/digits/predict": "/predict"}
WHOLE = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize(
    ("data", "route"),
    [
        (WHOLE, "/predict"),
        (WHOLE.replace(b"Length: 3", b"length :  3 "), "/predict"),
        (WHOLE.replace(b"/predict", b"/digits/predict?accept_at=0.9"), "/predict"),
        (WHOLE.replace(b"/predict", b"/predict/"), None),
        (WHOLE.replace(b"POST", b"GET"), None),
        (WHOLE.replace(b"1.1", b"1.0"), None),
        (WHOLE + b"d", None),
        (WHOLE[:-1], None),
        (WHOLE[:40], None),
        (WHOLE + WHOLE, None),
        (WHOLE.replace(b"Host", b"Connection"), None),
        (WHOLE.replace(b"Host", b"Transfer-Encoding"), None),
        (WHOLE.replace(b"Host", b"X-Request-ID"), None),
        (WHOLE.replace(b"Host: x", b"Content-Length: 3"), None),
        (WHOLE.replace(b"Host: x", b"Host: x\r\n Content-Length: 3"), None),
        (WHOLE.replace(b"Content-Length: 3", b"Content-Length: +3"), None),
        (WHOLE.replace(b"Content-Length: 3", b"Content-Length: 03"), None),
        (WHOLE.replace(b"Content-Length: 3", b"Content-Length: " + b"9" * 5000), None),
        (WHOLE.replace(b"/predict", b"/PREDICT"), None),
        (b"", None),
    ],
)
def test_only_whole_and_plain_requests_are_known_without_parsing(data: bytes, route: str | None) -> None:
    heads = Heads(ROUTES)
    for _ in ("a head that is new", "one that was seen before"):
        found = heads.of_whole(data)
        assert (found and found.route) == route


def test_of_the_heads_that_were_seen_nothing_is_kept_but_their_number_is_bounded() -> None:
    heads = Heads(ROUTES)
    for length in range(10_000):
        head = b"POST /predict HTTP/1.1\r\nX-API-Key: secret-%d\r\nContent-Length: %d\r\n\r\n" % (length, length)
        found = heads.of_whole(head + b"x" * length)
        assert found == Head("/predict", length, b"")
        assert heads.of_whole(head + b"x" * (length + 1)) is None
    assert len(heads._seen) <= 4096
    assert "secret" not in repr(heads._seen)


@pytest.mark.parametrize(
    ("changed", "content_type"),
    [
        (b"Host: x\r\nContent-Type: image/png", b"image/png"),
        (b"host:x\r\ncontent-type:  Multipart/Form-Data; boundary=Ab \t", b"Multipart/Form-Data; boundary=Ab"),
        (b"Host: x", b""),
        (b"Host: x\r\nAuthorization: Bearer key", b""),
        (b"Content-Type: image/png\r\nContent-Type: image/gif", None),
        (b"X-Request-Timeout-Ms: 5", None),
        (b"Ho st: x", None),
        (b"Host", None),
        (b": x", None),
        (b"Host: x\ny: z", None),
        (b"Host: x\ry: z", None),
        (b"Host: \0", None),
        (b"Host : x", None),
    ],
)
def test_a_head_tells_the_type_where_nothing_else_matters(changed: bytes, content_type: bytes | None) -> None:
    assert Heads(ROUTES).of_whole(WHOLE.replace(b"Host: x", changed)) == Head("/predict", 3, content_type)


def test_a_query_is_for_the_parser() -> None:
    assert Heads(ROUTES).of_whole(WHOLE.replace(b"/predict", b"/predict?include=image")) == Head("/predict", 3, None)
