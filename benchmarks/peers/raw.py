"""FastAPI with the raw body and no validation of the answer: what a careful user writes."""

from fastapi import FastAPI, Request, Response

from benchmarks.work import Work, to_json

app = FastAPI()
work = Work()


@app.post("/predict")
async def predict(request: Request) -> Response:
    return Response(to_json(work.read(await request.body())), media_type="application/json")
