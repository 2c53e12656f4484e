"""Hostile uploads get the answer of the contract, in time and in little memory, and the service lives on."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests import pictures
from tests.hostile import Upload, corpus
from tests.processes import Server, get_ready, serving
from tests.service.test_predict import problem

CORPUS = list(corpus())
CPU_SECONDS = 1.0
PEAK_MEGABYTES = 300

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads CPU time and memory from /proc")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        get_ready(server.url)
        httpx2.post(f"{server.url}/predict", content=pictures.png(7))
        yield server


def cpu_seconds(server: Server) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def peak_megabytes(server: Server) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def test_the_corpus_is_as_large_as_promised_and_its_names_are_told_apart() -> None:
    assert len(CORPUS) >= 60
    assert len({upload.name for upload in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("upload", CORPUS, ids=lambda upload: upload.name)
def test_each_hostile_upload_gets_its_answer(server: Server, upload: Upload) -> None:
    before = cpu_seconds(server)
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # forget the peak of what came before
    response = httpx2.post(f"{server.url}{upload.path}", content=upload.body, headers=upload.headers, timeout=30)
    assert response.status_code in upload.status, response.text
    if response.status_code != 200:
        problem(response)
    # Time on the processor, since the test's machine may be busy with something else.
    assert cpu_seconds(server) - before <= CPU_SECONDS
    assert peak_megabytes(server) <= PEAK_MEGABYTES


def test_the_service_reads_on_as_if_nothing_had_happened(server: Server) -> None:
    assert httpx2.post(f"{server.url}/predict", content=pictures.png(7)).json()["digit"] == 7
    assert not [line for line in server.log if "Traceback" in line]
