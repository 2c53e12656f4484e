"""BentoML: one worker, the picture as a file part, the answer as bytes."""

from pathlib import Path
from typing import Annotated

import bentoml
from bentoml.validators import ContentType

from benchmarks.work import Work, to_json


@bentoml.service(workers=1, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Reading:
    def __init__(self) -> None:
        self.work = Work()

    @bentoml.api(route="/predict")
    def predict(
        self, file: Annotated[Path, ContentType("image/*")]
    ) -> Annotated[bytes, ContentType("application/json")]:
        return to_json(self.work.read(file.read_bytes()))
