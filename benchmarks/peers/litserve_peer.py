"""LitServe: one worker, its fast queue, the picture as a form (it takes forms and JSON only)."""

import os
from typing import Any

import litserve
from fastapi import Request, Response

from benchmarks.work import Work, to_json


class Reading(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - the name is part of the interface
        self.work = Work()

    def decode_request(self, request: Request) -> bytes:  # what comes is the form
        data: bytes = request["file"].file.read()  # type: ignore[index]
        return data

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        return inputs

    def unbatch(self, output: Any) -> Any:
        return output

    def predict(self, x: Any) -> Any:
        if isinstance(x, bytes):
            return self.work.read(x)
        return self.work.predict([self.work.prepare(picture) for picture in x])

    def encode_response(self, output: Any) -> Any:
        return Response(to_json(output), media_type="application/json")


if __name__ == "__main__":
    batch = int(os.environ.get("BENCH_BATCH", "1"))
    api = Reading(max_batch_size=batch, batch_timeout=0.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run(host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), log_level="warning", generate_client_file=False)
