"""API keys: who may ask. Health and metrics stay open, and so do the page and the documents, which hold no secret."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from service.errors import Unauthorized

OPEN_PATHS = frozenset(
    {
        "/",
        "/docs",
        "/openapi.json",
        "/health",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/v2/health/live",
        "/v2/health/ready",
    }
)
OPEN_PREFIXES = ("/static/", "/docs/")


class ApiKeys:
    """The configured keys; none means that everybody may ask."""

    def __init__(self, keys: Iterable[str]) -> None:
        # Of equal length, so that comparing tells nothing of a key, not even how long it is.
        self._digests = [_digest(key.encode()) for key in keys]

    @property
    def are_needed(self) -> bool:
        """Whether there are any."""
        return bool(self._digests)

    def check(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Let a request pass that carries a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`.

        Raises:
            Unauthorized: keys are configured and the request has none of them.
        """
        if not self._digests or path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
            return
        sent = [_digest(key) for key in _sent_keys(headers)]
        # Every key is compared, whichever matches.
        if not sum([hmac.compare_digest(key, digest) for key in sent for digest in self._digests]):
            raise Unauthorized("send an API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'")


def _sent_keys(headers: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """What a request sends, one way and the other; a proxy may use the first for itself."""
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b"", headers.get(b"x-api-key", b"")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
