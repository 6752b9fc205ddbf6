"""The requests of the page."""

from __future__ import annotations

import errno
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from boxwright import BoxwrightError, Sample
from boxwright.analysis import box_problems
from boxwright.annotation import (
    ANNOTATOR,
    AnnotationSession,
    ConflictError,
    Drawn,
    is_verified,
    relabeled,
    without_boxes,
)
from boxwright_annotate.pixels import LARGEST, Pixels

STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_FILES: Final = {path.name: path for path in STATIC.iterdir() if path.suffix in _TYPES}
_SMALL: Final = 8192  # pixels
_AT_ONCE: Final = 200  # images
_TINY: Final = 3.0  # pixels, as boxwright validate counts them
Body = dict[str, Any]


class Api:
    """What the page can ask for; each method returns values for JSON.

    Args:
        session: The session.
        stop: Ends the server.
    """

    def __init__(self, session: AnnotationSession, stop: Callable[[], None]) -> None:
        self._session, self._stop = session, stop
        self.pixels = Pixels(session)

    def dataset(self, body: Body) -> Body:
        """The dataset and a row for each image."""
        session = self._session
        unsaved = set(session.unsaved)
        return {
            "uri": session.uri,
            "format": session.spec.name,
            "classes": session.classes,
            "largest": LARGEST,
            "skipped": [str(error) for error in session.skipped[:20]],
            "recovered": session.recovered,
            "model": session.proposals is not None,
            "next_step": session.next_step,
            "images": [self._row(sample, position in unsaved) for position, sample in enumerate(session.samples)],
        }

    def image(self, body: Body) -> Body:
        """An image as it is now, also if another program has changed its file."""
        self._session.refresh(body["image"])
        return self._state([body["image"]])

    def boxes(self, body: Body) -> Body:
        """The boxes of several images, rows of ``[label, xmin, ymin, xmax, ymax]``, for their thumbnails."""
        found = {}
        for image in body["images"][:_AT_ONCE]:
            boxes = self._session.samples[image].boxes
            found[image] = [[label, *box] for label, box in zip(boxes.labels, boxes.coordinates, strict=True)]
        return {"boxes": found}

    def edit(self, body: Body) -> Body:
        """Sets the boxes of an image, rows of ``[label, xmin, ymin, xmax, ymax, origin]``."""
        boxes = [Drawn(row[0], tuple(row[1:5]), row[5], bool(row[6:] and row[6])) for row in body["boxes"]]
        self._session.edit(body["image"], boxes, revision=body["revision"], verified=body.get("verified"))
        return self._state([body["image"]])

    def undo(self, body: Body) -> Body:
        """Takes back the last edit."""
        return self._state(self._session.undo())

    def redo(self, body: Body) -> Body:
        """Repeats the edit that was taken back."""
        return self._state(self._session.redo())

    def save(self, body: Body) -> Body:
        """Writes the edited images."""
        before = self._session.unsaved
        saved = self._session.save(frozenset(body.get("overwrite", ())))
        return self._state(before) | {
            "saved": saved.images,
            "files": saved.files,
            "kept": saved.kept,
            "losses": saved.losses.describe(),
        }

    def saving(self, body: Body) -> Body:
        """How far :meth:`save` is."""
        written, images = self._session.saving
        return {"written": written, "images": images}

    def discard(self, body: Body) -> Body:
        """Drops the edits of images, which are then as in their files."""
        self._session.discard(body["images"])
        return self._state(body["images"])

    def bulk(self, body: Body) -> Body:
        """Changes or removes boxes of many images; with ``preview``, only counts them."""
        session, images, preview = self._session, body["images"], body["preview"]
        with session.lock:
            samples = session.samples
            if "to" in body:
                to = body["to"] if preview else session.add_class(body["to"])
                changed = relabeled(samples, images, body["label"], to)
                count = sum(samples[image].boxes.labels.count(body["label"]) for image in changed)
            else:
                changed = without_boxes(samples, images, label=body["label"], side=float(body["side"]))
                count = sum(len(samples[image].boxes) - len(after.boxes) for image, after in changed.items())
            if not preview:
                session.apply(changed)
        return self._state([] if preview else list(changed)) | {"boxes": count, "changed": list(changed)}

    def proposals(self, body: Body) -> Body:
        """The proposals of the model for an image, which it looks at next; ``ready`` is false if it takes longer."""
        source = self._session.proposals
        if source is None:
            return {"ready": True, "boxes": []}
        found = source.wait(body["image"], 5.0)
        if source.problem:
            return {"ready": True, "boxes": [], "problem": source.problem}
        for name in source.model.label_map.names if found is not None else ():
            self._session.add_class(name)
        boxes = [[each.label, *each.coordinates, each.score, each.likely] for each in found or ()]
        return {"ready": found is not None, "boxes": boxes, "done": source.done, "classes": self._session.classes}

    def end(self, body: Body) -> Body:
        """Ends the session, for the step that follows; edits that were not saved are kept."""
        self._stop()
        return {}

    def order(self, body: Body) -> Body:
        """The images to look at next, of those that the model has looked at, each with the reason and its place."""
        source = self._session.proposals
        reasons = source.suspects() if body["kind"] == "suspects" else source.to_learn()
        return {"images": [list(each) for each in reasons], "done": source.done}

    def scores(self, body: Body) -> Body:
        """The best score of the detections in each image that the model has looked at."""
        known = self._session.proposals.known()
        return {"scores": {image: max(found.scores, default=0.0) for image, found in known.items()}}

    def add_class(self, body: Body) -> Body:
        """Adds a class."""
        name = self._session.add_class(body["name"])
        return {"name": name, "classes": self._session.classes}

    def _row(self, sample: Sample, unsaved: bool) -> Body:
        sides = [min(x2 - x1, y2 - y1) for x1, y1, x2, y2 in sample.boxes.coordinates]
        return {
            "name": sample.image.name,
            "width": sample.image.width,
            "height": sample.image.height,
            "split": sample.split,
            "verified": is_verified(sample),
            "labels": Counter(sample.boxes.labels),
            "smallest": min(sides, default=None),
            "findings": sorted({problem.check for problem in box_problems(sample, _TINY)}) if sides else [],
            "unsaved": unsaved,
        }

    def _state(self, images: list[int]) -> Body:
        session = self._session
        unsaved = set(session.unsaved)
        states = []
        for position in images:
            sample = session.samples[position]
            boxes = sample.boxes
            rows = zip(boxes.labels, boxes.coordinates, boxes.attributes, strict=True)
            state = self._row(sample, position in unsaved) | {
                "image": position,
                "revision": session.revisions[position],
                "boxes": [[label, *box, attributes.get(ANNOTATOR)] for label, box, attributes in rows],
            }
            states.append(state)
        return {
            "images": states,
            "classes": session.classes,
            "unsaved": len(unsaved),
            "can_undo": session.can_undo,
            "can_redo": session.can_redo,
        }


def make_app(session: AnnotationSession, stop: Callable[[], None]) -> Starlette:
    """Returns the application of a page.

    Args:
        session: The session.
        stop: Ends the server.
    """
    api = Api(session, stop)
    count = len(session.samples)
    calls: dict[str, Callable[[Body], Body]] = {
        "dataset": api.dataset,
        "image": api.image,
        "boxes": api.boxes,
        "edit": api.edit,
        "undo": api.undo,
        "redo": api.redo,
        "save": api.save,
        "saving": api.saving,
        "discard": api.discard,
        "class": api.add_class,
        "bulk": api.bulk,
        "proposals": api.proposals,
        "end": api.end,
        "order": api.order,
        "scores": api.scores,
    }

    async def call(request: Request) -> Response:
        function = calls.get(request.path_params["name"])
        if function is None:
            return _problem(404, "not found")
        try:
            body = json.loads(await request.body())
            images = [
                *([body["image"]] if "image" in body else ()),
                *body.get("images", ()),
                *body.get("overwrite", ()),
            ]
            if not all(type(image) is int and 0 <= image < count for image in images):
                return _problem(400, "an image is unknown")
            return JSONResponse(await run_in_threadpool(function, body))
        except ConflictError as error:
            return _problem(409, error.message, error.remedy, images=error.images)
        except BoxwrightError as error:
            return _problem(422, error.message, error.remedy)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            remedy = "free some space" if full else "check the disk and the permissions"
            return _problem(500, f"{error.filename or 'the journal'}: {error.strerror or error}", remedy)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            return _problem(400, f"the request is malformed: {type(error).__name__}: {error}"[:200])

    async def pixels(request: Request) -> Response:
        position = int(request.path_params["image"])
        query = {name: request.query_params.get(name, "") for name in ("side", "part")}
        try:
            if position >= count:
                return _problem(404, "the image is unknown")
            if query["part"]:
                x1, y1, x2, y2 = (min(max(int(each), 0), 1 << 20) for each in query["part"].split(","))
                if not (x1 < x2 <= x1 + _SMALL and y1 < y2 <= y1 + _SMALL):
                    return _problem(400, "the part is empty or too large")
                content, kind = await run_in_threadpool(api.pixels.part, position, (x1, y1, x2, y2))
            else:
                side = min(int(query["side"] or 0), _SMALL)
                content, kind = await run_in_threadpool(api.pixels.image, position, side)
        except BoxwrightError as error:
            return _problem(422, error.message, error.remedy)
        except ValueError:
            return _problem(400, "these are not numbers")
        return Response(content, media_type=kind, headers={"cache-control": "private, max-age=600"})

    async def static(request: Request) -> Response:
        path = _FILES.get(request.path_params.get("name", "index.html"))
        if path is None:
            return _problem(404, "not found")
        return Response(path.read_bytes(), media_type=_TYPES[path.suffix], headers={"cache-control": "no-cache"})

    return Starlette(
        routes=[
            Route("/", static),
            Route("/api/{name}", call, methods=["POST"]),
            Route("/pixels/{image:int}", pixels),
            Route("/{name}", static),
        ]
    )


def _problem(status: int, problem: str, remedy: str = "", **more: Any) -> Response:
    return JSONResponse({"problem": problem, "remedy": remedy, **more}, status)
