"""The service as a process: start, several workers, refusals, stop, and what it does not do."""

import json
import os
import re
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests import pictures
from tests.processes import get_ready, run_digits, serving

SEVEN = pictures.png(7)


def predictions_counted(url: str) -> float:
    text = httpx2.get(f"{url}/metrics").text
    found = re.search(r'^http_requests_total\{method="POST",route="/predict",status="200"\} (\S+)$', text, re.M)
    return float(found.group(1)) if found else 0.0


def send(url: str, requests: int) -> None:
    """Send requests over ten connections, so that every worker gets some."""

    def some(_: int) -> None:
        with httpx2.Client() as client:
            for _ in range(requests // 10):
                assert client.post(f"{url}/predict", content=SEVEN).json()["digit"] == 7

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(some, range(10)))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find the workers")
def test_metrics_of_two_workers_are_whole_whoever_answers_and_after_one_was_killed() -> None:
    with serving(DIGITS_WORKERS="2") as server:
        get_ready(server.url)
        send(server.url, 1000)
        assert {predictions_counted(server.url) for _ in range(20)} == {1000}
        killed = server.children()[0]
        os.kill(killed, signal.SIGKILL)
        for _ in range(100):
            if killed not in server.children() and len(server.children()) == 2:
                break
            time.sleep(0.1)
        get_ready(server.url)
        assert {predictions_counted(server.url) for _ in range(20)} == {1000}
        send(server.url, 100)
        assert predictions_counted(server.url) == 1100
        assert re.search(r"^http_requests_in_flight 1\.0$", httpx2.get(f"{server.url}/metrics").text, re.M)
    assert server.process.returncode == 0


def test_sigterm_ends_it_with_status_0() -> None:
    with serving() as server:
        assert httpx2.post(f"{server.url}/predict", content=SEVEN).json()["digit"] == 7
    assert server.process.returncode == 0


def test_log_lines_are_json_on_request_and_hold_the_request_id() -> None:
    with serving(DIGITS_LOG_FORMAT="json") as server:
        httpx2.post(f"{server.url}/predict", content=SEVEN, headers={"X-Request-ID": "seen-in-the-log"})
    [line] = [line for line in server.log if "seen-in-the-log" in line]
    assert '"route": "/predict"' in line
    assert '"status": 200' in line


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"DIGITS_PORT": "eight"}, "DIGITS_PORT='eight' is not allowed"),
        ({"DIGITS_HOST": "999.1.1.1"}, "DIGITS_HOST='999.1.1.1' is not allowed"),
        ({"DIGITS_FORWARDED_ALLOW_IPS": "10.0.0.1, proxy!"}, "'proxy!' is no address and no network"),
        ({"DIGITS_MODEL_PATH": "nowhere.onnx"}, "nowhere.onnx cannot be read: No such file"),
        ({"DIGITS_MODEL_PATH": "nowhere.onnx"}, "DIGITS_MODEL_PATH names no model"),
        ({"DIGITS_FIELD_MODEL_PATH": "nowhere.onnx"}, "DIGITS_FIELD_MODEL_PATH names no model"),
        ({"DIGITS_MODEL_PATH": __file__}, "is not a readable ONNX model"),
        ({"DIGITS_WORKERS": "2", "DIGITS_METRICS_DIR": "/dev/null/metrics"}, "DIGITS_METRICS_DIR"),
    ],
)
def test_it_does_not_start_with_a_bad_setting_or_model_and_says_why(environ: dict[str, str], said: str) -> None:
    done = run_digits("serve", **{"DIGITS_PORT": "0"} | environ)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_in_a_file_may_hold_a_comma(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("one,two\n")
    with serving(DIGITS_API_KEYS=f"@{keys}") as server:
        for key, status in (("one,two", 200), ("one", 401), ("two", 401)):
            assert httpx2.post(f"{server.url}/predict", content=SEVEN, headers={"X-API-Key": key}).status_code == status


@pytest.mark.parametrize(
    "sent",
    [
        b"FOO /predict HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"hello\r\n\r\n",
    ],
)
def test_what_is_no_http_is_answered_as_any_other_error_and_counted(sent: bytes) -> None:
    with serving() as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(sent)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"content-type: application/problem+json" in head
        problem = json.loads(body)
        assert problem["code"] == "invalid_request"
        assert problem["request_id"].encode() in head
        metrics = httpx2.get(f"{server.url}/metrics").text
    assert 'digit_requests_rejected_total{code="invalid_request"} 1.0' in metrics
    assert 'http_requests_total{method="other",route="unmatched",status="400"} 1.0' in metrics


def test_a_body_over_the_limit_gets_its_answer_although_it_is_not_read() -> None:
    """A server that just closes the connection makes the sender see a reset instead of the 413."""
    with serving(DIGITS_MAX_IMAGE_BYTES="100000") as server:
        too_large = b"x" * 30_000_000
        for body in (too_large, (too_large[start : start + 65536] for start in range(0, len(too_large), 65536))):
            response = httpx2.post(f"{server.url}/predict", content=body)
            assert response.status_code == 413
            assert response.headers["Connection"] == "close"
        assert httpx2.post(f"{server.url}/predict", content=SEVEN).status_code == 200


def test_a_sender_who_asks_first_is_refused_before_it_sends() -> None:
    with serving() as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(
                b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\nExpect: 100-continue\r\n\r\n"
            )
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"100 Continue" not in answer


TELEMETRY = """
import service, os, threading
from pathlib import Path
from service.classifier import DigitClassifier
from service.settings import released_model
DigitClassifier.load(released_model()).warm_up()
threads = [Path(f"/proc/self/task/{name}/comm").read_text().strip() for name in os.listdir("/proc/self/task")]
files = [str(path) for path in Path(os.environ["HOME"]).rglob("*")]
sockets = [link for fd in os.listdir("/proc/self/fd") if (link := os.readlink(f"/proc/self/fd/{fd}") if
           os.path.lexists(f"/proc/self/fd/{fd}") else "").startswith("socket:")]
print(len(threads), files, sockets)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and onnxruntime's telemetry is on Linux")
def test_onnxruntime_sends_nothing_and_writes_nothing(tmp_path: Path) -> None:
    """Run with an empty home and without the variables under which the library silences itself."""
    import subprocess

    silencing = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED")
    environ = {name: value for name, value in os.environ.items() if name not in silencing and "XDG" not in name}
    environ |= {"HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", TELEMETRY], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "1 [] []"
