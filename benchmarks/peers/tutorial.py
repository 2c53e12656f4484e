"""The service that most tutorials build: FastAPI, `UploadFile`, onnxruntime, a pydantic answer."""

from typing import Annotated

from fastapi import FastAPI, File, UploadFile
from pydantic import BaseModel

from benchmarks.work import Work, to_json

app = FastAPI()
work = Work()


class Answer(BaseModel):
    digit: int
    confidence: float
    probabilities: list[float]
    reject: float
    decision: str
    reasons: list[str]
    model: dict[str, str]


@app.post("/predict")
def predict(file: Annotated[UploadFile, File()]) -> Answer:
    return Answer.model_validate_json(to_json(work.read(file.file.read())))
