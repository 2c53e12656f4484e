"""Of what callers send, nothing is kept and nothing leaves: not in a log, an error or a metric, on no disk or wire."""

import base64
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from PIL.PngImagePlugin import PngInfo

from tests import hostile, pictures
from tests.processes import get_ready, serving
from tests.programs import need

linux = pytest.mark.skipif(sys.platform != "linux", reason="drives Linux's own programs")
SECRET = "gv7Qk2Zr"
# The onnxruntime library silences itself where it sees these.
SILENCING = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED")


def secret_picture() -> bytes:
    """A picture of a 7 with a secret in its text."""
    info = PngInfo()
    info.add_text("Comment", SECRET)
    return pictures.encode(pictures.draw(7), pnginfo=info)


def ask_everything(url: str) -> list[httpx2.Response]:
    """Good and bad uploads of each form, each with the secret in it."""
    picture = secret_picture()
    text = base64.b64encode(SECRET.encode() * 20).decode()
    answers = [
        httpx2.post(f"{url}/predict", content=picture),
        httpx2.post(f"{url}/predict", content=picture[:-40]),
        httpx2.post(f"{url}/predict", content=SECRET.encode() * 9),
        httpx2.post(f"{url}/predict", files={"file": (SECRET, picture)}),
        httpx2.post(f"{url}/predict", json={"image": text}),
        httpx2.post(f"{url}/predict", json={"image": text + "?"}),
        httpx2.post(f"{url}/predict/batch", files=[("files", (SECRET, picture)), ("files", (SECRET, b"no"))]),
        httpx2.post(f"{url}/predict/batch", json={"images": [{"id": SECRET, "image": text}, SECRET]}),
        httpx2.post(f"{url}/predict/batch", content=pictures.archive({SECRET: picture, f"../{SECRET}": picture})),
        httpx2.post(f"{url}/v2/models/digits/infer", content=f'{{"inputs": [{{"name": "{SECRET}"}}]}}'),
    ]
    for upload in hostile.small():
        httpx2.post(f"{url}{upload.path}", content=upload.body, headers=upload.headers)
    return answers


def test_nothing_that_was_sent_is_in_a_log_or_a_metric() -> None:
    with serving(DIGITS_LOG_LEVEL="debug", DIGITS_LOG_FORMAT="json") as server:
        get_ready(server.url)
        answers = ask_everything(server.url)
        metrics = httpx2.get(f"{server.url}/metrics").text
    assert {200, 400, 422} <= {answer.status_code for answer in answers}
    written = "".join(server.log) + metrics
    for form in (SECRET, base64.b64encode(SECRET.encode() * 3).decode()[:12]):
        assert form not in written
    # Everything on standard error is ours: the libraries that decode would print the odd values that they find.
    for line in server.log:
        assert json.loads(line)["logger"].startswith(("digits", "uvicorn")), line


def test_errors_tell_nothing_of_the_bytes_of_a_picture() -> None:
    with serving() as server:
        get_ready(server.url)
        for answer in ask_everything(server.url):
            if answer.status_code in (413, 422):
                assert SECRET not in answer.text


@linux
def test_no_connection_is_begun_and_nothing_written(tmp_path: Path) -> None:
    """Seen by strace, with an empty home and without the variables under which onnxruntime silences itself."""
    trace, home = tmp_path / "trace", tmp_path / "home"
    home.mkdir()
    calls = "connect,sendto,sendmsg,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat"
    # Daemonized, so that signals reach the service and not who watches it.
    watched = (need("strace"), "--daemonize", "--follow-forks", "--output", str(trace), f"--trace={calls}")
    environ = {name: value for name, value in os.environ.items() if name not in SILENCING and "XDG" not in name}
    # Compiled Python is written beside the sources by whoever runs them first, not by the service.
    environ |= {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    with serving(*watched, clean=environ) as server:
        get_ready(server.url)
        ask_everything(server.url)
        pid = str(server.process.pid)
    for _ in range(600):
        lines = trace.read_text(errors="replace").splitlines()
        if any(line.startswith(pid) and "+++ exited" in line for line in lines):
            break
        time.sleep(0.1)
    assert len(lines) > 100
    assert [line for line in lines if re.search(r"\b(connect|sendto|sendmsg)\(.*AF_INET", line)] == []
    assert [line for line in lines if _writes(line)] == []
    assert list(home.rglob("*")) == []


def _writes(line: str) -> bool:
    opened = re.search(r"\bopen(?:at)?\(.*\"(?P<path>[^\"]*)\", (?P<flags>[A-Z_|]+)", line)
    if opened is None:
        return not re.search(r"\b(connect|sendto|sendmsg)\(|\bopen|\+\+\+|---|resumed", line)
    return bool(re.search("O_WRONLY|O_RDWR|O_CREAT", opened["flags"])) and not opened["path"].startswith("/dev/")


MAKE_READ_ONLY = """
mount --make-rprivate /
for at in $(awk '{print $5}' /proc/self/mountinfo); do mount -o remount,bind,ro "$at" 2>/dev/null; done
if touch /tmp/digits-test 2>/dev/null; then echo still writable >&2; exit 9; fi
exec "$@"
"""


@linux
def test_it_serves_from_a_read_only_file_system() -> None:
    unshare = (need("unshare"), "--map-root-user", "--mount", "--")
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    with serving(*unshare, "sh", "-c", MAKE_READ_ONLY, "sh") as server:
        get_ready(server.url)
        assert ask_everything(server.url)[0].json()["digit"] == 7


def test_the_watch_tells_writing_from_reading() -> None:
    assert _writes('7 openat(AT_FDCWD, "/tmp/a", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 3')
    assert _writes('7 mkdir("/tmp/a", 0777) = 0')
    assert not _writes('7 openat(AT_FDCWD, "/etc/a", O_RDONLY|O_CLOEXEC) = 3')
    assert not _writes('7 openat(AT_FDCWD, "/dev/null", O_RDWR) = 3')
