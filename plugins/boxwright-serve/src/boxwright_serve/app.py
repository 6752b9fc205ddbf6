"""The HTTP interface of a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from boxwright import Detections, __version__
from boxwright.models import Model
from boxwright.render import page_part
from boxwright_serve import open_inference
from boxwright_serve.guard import Guard
from boxwright_serve.images import gone, parse_score, read_image, read_json
from boxwright_serve.limits import Limits, RequestError
from boxwright_serve.metrics import CONTENT_TYPE
from boxwright_serve.service import Service

_PAGE: Final = Path(__file__).with_name("page")
_TYPES: Final = {"page.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}


class Detected(BaseModel):
    """One detection."""

    label: str
    score: float
    box: tuple[float, float, float, float]


class Answer(BaseModel):
    """The detections in an image, best first.

    ``box`` is ``xmin ymin xmax ymax`` in pixels of the upright image, whose size is ``width`` and ``height``. ``score``
    is the lowest score of a detection, by class if the model was tuned so.
    """

    image: str
    width: int
    height: int
    detections: list[Detected]
    score: float | dict[str, float]


class Problem(BaseModel):
    """The reason why a request was not answered, and the remedy."""

    error: str
    remedy: str = ""


_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": {"type": "string", "format": "binary"},
                    "score": {"type": "number", "minimum": 0, "maximum": 1},
                },
            }
        },
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {
                    "image": {"type": "string", "format": "byte", "description": "The image as base64."},
                    "name": {"type": "string"},
                    "score": {"type": "number", "minimum": 0, "maximum": 1},
                },
            }
        },
    },
}
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Problem, "description": "The request contains no image, or a wrong value."},
    401: {"model": Problem, "description": "The token is missing or wrong."},
    403: {"model": Problem, "description": "The host or the origin is refused."},
    404: {"model": Problem, "description": "The model is another one."},
    408: {"model": Problem, "description": "The body did not arrive in time."},
    413: {"model": Problem, "description": "The image has too many bytes or pixels."},
    415: {"model": Problem, "description": "The file is not an image, or its format cannot be read."},
    422: {"model": Problem, "description": "The image is damaged or cut off."},
    429: {"model": Problem, "description": "The queue is full; try again after the time in Retry-After."},
    500: {"model": Problem, "description": "The model failed."},
    503: {"model": Problem, "description": "The server is shutting down."},
}
_OTHERS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"model": Problem, "description": "The request is refused."}
}
_INFER: Final[dict[str, Any]] = {
    "responses": {**_PROBLEMS, 200: {"content": open_inference.RESPONSE}},
    "openapi_extra": {"requestBody": {"required": True, "content": open_inference.REQUEST}},
}


def create_app(
    model: Model,
    *,
    name: str = "detector",
    limits: Limits | None = None,
    score: float | None = None,
    token: str = "",
) -> FastAPI:
    """Returns an ASGI application that answers requests with the detections of a model.

    Args:
        model: The model, as :func:`boxwright.load_model` returns it.
        name: Its name in the addresses of the Open Inference Protocol.
        limits: What is accepted.
        score: The lowest score of a detection; by default the score that the model was tuned for, or else 0.3.
        token: The token that clients must send; without one, only requests from this machine are answered.
    """
    service = Service(model, name, limits or Limits(), score)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        try:
            yield
        finally:
            await service.batcher.close()

    app = FastAPI(
        title="boxwright serve",
        version=__version__,
        description="Detects objects in images.",
        docs_url=None,  # the page of FastAPI loads scripts from another server
        redoc_url=None,
        responses=_OTHERS,
        lifespan=lifespan,
    )
    app.add_middleware(Guard, token=token, count=service.metrics.request)
    _handle_errors(app)
    _add_detection(app, service)
    _add_page(app)
    _add_open_inference(app, service)
    if token:
        _describe_token(app)
    return app


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> Response:
        return JSONResponse(error.content(), error.status, dict(error.headers))

    @app.exception_handler(HTTPException)
    async def not_found(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": error.detail, "remedy": "see /openapi.json"}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"error": str(error.errors()[0]["msg"]), "remedy": "see /openapi.json"}, 400)


def _add_detection(app: FastAPI, service: Service) -> None:
    @app.post("/predict", response_model=Answer, responses=_PROBLEMS, openapi_extra={"requestBody": _BODY})
    async def predict(request: Request, score: float | None = None) -> Response:
        """Detects objects in an image: the body is the file, a form with it, or JSON with it as base64."""
        _check_encoding(request)
        with service.batcher.reserved(1):
            given = await read_image(request, service.limits)
            least = given.score if given.score is not None else parse_score(score)
            (found,) = await _unless_gone(request, service.detect([given.data], [given.name], least))
        content = {
            "image": given.name,
            "width": found.image.width,
            "height": found.image.height,
            "detections": [
                {"label": label, "score": round(value, 4), "box": [round(edge, 2) for edge in box]}
                for label, value, box in zip(found.boxes.labels, found.scores, found.boxes.coordinates, strict=True)
            ],
            "score": service.score_of(least),
        }
        return JSONResponse(content)

    @app.get("/model")
    async def model() -> dict[str, Any]:
        """Describes the model: its classes with their colors, the lowest score, and the limits for images."""
        return service.describe()

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """Says that the server works."""
        return "ok\n"

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Returns metrics for Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)


def _add_page(app: FastAPI) -> None:
    contents = {name: (_PAGE / name).read_text("utf-8") for name in _TYPES}
    for kind in ("css", "js"):
        contents[f"page.{kind}"] = page_part(f"detections.{kind}") + contents[f"page.{kind}"]

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(contents["page.html"], media_type=_TYPES["page.html"])

    @app.get("/page.css", include_in_schema=False)
    async def style() -> Response:
        return Response(contents["page.css"], media_type=_TYPES["page.css"])

    @app.get("/page.js", include_in_schema=False)
    async def script() -> Response:
        return Response(contents["page.js"], media_type=_TYPES["page.js"])


def _add_open_inference(app: FastAPI, service: Service) -> None:
    tags: list[str | Enum] = ["Open Inference Protocol"]

    def check(name: str, version: str = open_inference.VERSION) -> None:
        if name != service.name or version != open_inference.VERSION:
            raise RequestError(404, f"unknown model {name:.80}, version {version:.20}", f"the model is {service.name}")

    @app.get("/v2", tags=tags)
    async def server() -> dict[str, Any]:
        """Describes the server."""
        return {"name": "boxwright", "version": __version__, "extensions": list(open_inference.EXTENSIONS)}

    @app.get("/v2/health/live", tags=tags)
    async def live() -> dict[str, bool]:
        """Says whether the server works."""
        return {"live": True}

    @app.get("/v2/health/ready", tags=tags)
    async def ready() -> dict[str, bool]:
        """Says whether the model can be used."""
        return {"ready": True}

    @app.get("/v2/models/{name}", tags=tags)
    @app.get("/v2/models/{name}/versions/{version}", tags=tags)
    async def metadata(name: str, version: str = open_inference.VERSION) -> dict[str, Any]:
        """Describes the inputs and outputs of the model."""
        check(name, version)
        return open_inference.model_metadata(service.name)

    @app.get("/v2/models/{name}/ready", tags=tags)
    @app.get("/v2/models/{name}/versions/{version}/ready", tags=tags)
    async def model_ready(name: str, version: str = open_inference.VERSION) -> dict[str, Any]:
        """Says whether the model can be used."""
        check(name, version)
        return {"name": service.name, "ready": True}

    @app.post("/v2/models/{name}/infer", tags=tags, **_INFER)
    @app.post("/v2/models/{name}/versions/{version}/infer", tags=tags, **_INFER)
    async def infer(request: Request, name: str, version: str = open_inference.VERSION) -> Response:
        """Detects objects in one or more images."""
        check(name, version)
        _check_encoding(request)
        with service.batcher.reserved(1):
            body = await read_json(request, service.limits)
            length = request.headers.get(open_inference.HEADER_LENGTH)
            asked = await asyncio.to_thread(open_inference.parse_request, body, length)
            del body
            with service.batcher.reserved(len(asked.images) - 1, held=1):
                names = [f"image {number}" for number in range(len(asked.images))]
                found = await _unless_gone(request, service.detect(asked.images, names, asked.score))
        content, headers = open_inference.answer(asked, service.name, service.model.label_map, found)
        return Response(content, headers=headers)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, list[Detections]]) -> list[Detections]:
    """Returns the result of work, which is cancelled if the client closes the connection."""
    task = asyncio.create_task(work)
    watch = asyncio.create_task(_cancel_if_closed(request, task))
    try:
        return await task
    except asyncio.CancelledError:
        if not watch.done():
            raise
        raise gone() from None
    finally:
        watch.cancel()
        del task, watch  # they keep errors, whose tracebacks keep this frame: a reference cycle with the images


async def _cancel_if_closed(request: Request, task: asyncio.Task[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise RequestError(415, f"the encoding {encoding:.40} is not supported", "send the body without compression")


def _describe_token(app: FastAPI) -> None:
    original = app.openapi

    def openapi() -> dict[str, Any]:
        schema = original()
        schema.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"token": []}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it
