import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from training import download as module
from training.download import download, download_mnist
from training.errors import DataError

CONTENT = np.random.default_rng(0).bytes(300_000)
FILES = {"images.gz": hashlib.md5(CONTENT).hexdigest()}


class Mirror(BaseHTTPRequestHandler):
    """Serves CONTENT under every name; the folder in the path decides how it misbehaves."""

    def do_GET(self) -> None:
        behaviour = self.path.split("/")[1]
        self.server.requests.append((behaviour, self.headers.get("Range")))
        start = int(self.headers["Range"][6:-1]) if "Range" in self.headers and behaviour != "no-range" else 0
        if behaviour == "gone":
            self.send_error(404)
        elif start >= len(CONTENT):
            self.send_error(416)
        else:
            self._send(behaviour, start)

    def _send(self, behaviour: str, start: int) -> None:
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if behaviour == "wrong":
            body = bytes(len(body))
        if (behaviour == "cut" and not start) or behaviour == "always-cut":
            body = body[: len(body) // 3]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def mirror(server: ThreadingHTTPServer, behaviour: str = "fine") -> str:
    return f"http://127.0.0.1:{server.server_port}/{behaviour}/"


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_under_its_own_name(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    download(FILES, [mirror(server)], tmp_path / "data")
    assert (tmp_path / "data" / "images.gz").read_bytes() == CONTENT
    assert leftovers(tmp_path / "data") == ["images.gz"]


def test_a_right_file_is_left_alone(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "images.gz").write_bytes(CONTENT)
    assert "already there" in download(FILES, [mirror(server)], tmp_path)[0]
    assert server.requests == []


def test_a_wrong_file_is_replaced(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "images.gz").write_bytes(b"something else")
    download(FILES, [mirror(server)], tmp_path)
    assert (tmp_path / "images.gz").read_bytes() == CONTENT


def test_a_cut_connection_is_resumed_where_it_stopped(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    download(FILES, [mirror(server, "cut")], tmp_path)
    assert (tmp_path / "images.gz").read_bytes() == CONTENT
    assert [received for _, received in server.requests] == [None, "bytes=100000-"]


def test_an_earlier_partial_download_is_resumed(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "images.gz.part").write_bytes(CONTENT[:123_456])
    download(FILES, [mirror(server)], tmp_path)
    assert (tmp_path / "images.gz").read_bytes() == CONTENT
    assert server.requests == [("fine", "bytes=123456-")]


def test_a_server_that_ignores_range_sends_all_again(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "images.gz.part").write_bytes(CONTENT[:123_456])
    download(FILES, [mirror(server, "no-range")], tmp_path)
    assert (tmp_path / "images.gz").read_bytes() == CONTENT


@pytest.mark.parametrize("part", [CONTENT + b"more", bytes(1000)], ids=["too long", "foreign"])
def test_a_wrong_partial_download_is_dropped(server: ThreadingHTTPServer, tmp_path: Path, part: bytes) -> None:
    (tmp_path / "images.gz.part").write_bytes(part)
    download(FILES, [mirror(server)], tmp_path)
    assert (tmp_path / "images.gz").read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["images.gz"]


def test_a_wrong_checksum_turns_to_the_next_mirror(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    lines = download(FILES, [mirror(server, "wrong"), mirror(server)], tmp_path)
    assert (tmp_path / "images.gz").read_bytes() == CONTENT
    assert lines == [f"{tmp_path / 'images.gz'}: downloaded from {mirror(server)}"]


def test_when_every_mirror_fails_the_message_tells_how_each_did(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    closed = "http://127.0.0.1:9/"
    mirrors = [mirror(server, "gone"), mirror(server, "wrong"), mirror(server, "always-cut"), closed]
    with pytest.raises(DataError) as failure:
        download(FILES, mirrors, tmp_path)
    message = str(failure.value)
    assert message.startswith("images.gz could not be downloaded")
    for told in ("answered 404", "the MD5", "closed the connection", "cannot be reached"):
        assert told in message
    assert "\n" not in message
    assert not (tmp_path / "images.gz").exists()


def test_writers_that_cannot_be_had_are_no_failure(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MNIST_MD5", FILES)
    monkeypatch.setattr(module, "MNIST_MIRRORS", [mirror(server)])
    monkeypatch.setattr(module, "QMNIST_MIRRORS", [mirror(server, "gone")])
    lines = download_mnist(tmp_path)
    assert "downloaded from" in lines[0]
    assert "validation is split by class" in lines[1]
