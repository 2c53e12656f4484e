"""Is the process alive, and should it be sent traffic: two questions, two routes."""

from typing import Any

import anyio
from fastapi import APIRouter, Request, Response

from service import __version__, openapi, tallies
from service.errors import Unavailable
from service.schemas import Health, Live, Ready
from service.state import State

router = APIRouter(tags=["operations"])


@router.get("/health/live", summary="The process runs", response_model=Live)
async def live() -> dict[str, bool]:
    return {"live": True}


@router.get("/health/ready", summary="Send it traffic", response_model=Ready, responses=openapi.problems(503))
async def ready(request: Request) -> dict[str, bool]:
    state: State = request.state.service
    if not state.ready:
        raise Unavailable("the service is starting or draining")
    return {"ready": True}


@router.get("/health", summary="Both, with version and model", response_model=Health)
async def health(request: Request) -> dict[str, Any]:
    state: State = request.state.service
    return {"live": True, "ready": state.ready, "version": __version__, "model": state.model_name}


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={
        200: {
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "application/openmetrics-text": {"schema": {"type": "string"}},
            }
        }
    },
)
async def metrics(request: Request) -> Response:
    state: State = request.state.service
    accept = request.headers.get("accept", "")
    tallies.save()
    data, content_type = await anyio.to_thread.run_sync(state.metrics.exposition, accept)
    return Response(data, headers={"Content-Type": content_type})
