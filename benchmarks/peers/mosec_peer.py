"""mosec: one worker that takes batches of up to 16, or single requests with `BENCH_BATCH=1`."""

import os
from typing import Any

from mosec import Server, Worker

from benchmarks.work import Work, to_json

BATCH = int(os.environ.get("BENCH_BATCH", "16"))


class Reading(Worker):
    def __init__(self) -> None:
        self.work = Work()

    def deserialize(self, data: bytes) -> bytes:
        return data

    def serialize(self, data: Any) -> bytes:
        return to_json(data)

    def forward(self, data: Any) -> Any:
        if BATCH == 1:
            return self.work.read(data)
        return self.work.predict([self.work.prepare(picture) for picture in data])


if __name__ == "__main__":
    server = Server()
    server.append_worker(Reading, num=1, max_batch_size=BATCH, max_wait_time=1)
    server.run()
