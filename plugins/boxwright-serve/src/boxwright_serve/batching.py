"""Batches of the images of concurrent requests."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import perf_counter

from boxwright import BoxwrightError, DataError, Detections, PluginError, Sample
from boxwright.images import decode_sample
from boxwright.models import Model
from boxwright_serve.limits import Limits, RequestError

Observer = Callable[[int, float], None]
"""Called after each batch with its number of images, and the time in seconds that the model took."""


@dataclass(eq=False)
class _Job:
    sample: Sample
    result: asyncio.Future[Detections]
    arrived: float


class Batcher:
    """Predicts the images of all requests with one model, in one thread, in batches.

    A batch is predicted when it is full, or when its first image has waited for :attr:`Limits.batch_wait`. Images that
    arrive during a prediction are in the next batch. The work begins with :meth:`start` or else the first image. The
    methods belong to the thread of the event loop.

    Args:
        model: The model.
        limits: The size of batches and of the queue.
        observe: Called after each batch.
    """

    def __init__(self, model: Model, limits: Limits, observe: Observer = lambda images, seconds: None) -> None:
        self.model = model
        self.limits = limits
        self.in_work = 0
        self._observe = observe
        self._waiting: deque[_Job] = deque()
        self._closing = False
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to work on images, in the event loop that runs; also again after :meth:`close`."""
        self._waiting.clear()
        self._changed = asyncio.Event()
        self._closing = False
        self._thread = ThreadPoolExecutor(1, "boxwright-model")
        self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Finishes the images that wait, and stops."""
        self._closing = True
        if self._worker is not None:
            self._changed.set()
            await self._worker
            self._thread.shutdown()

    @contextmanager
    def reserved(self, images: int, held: int = 0) -> Iterator[None]:
        """Reserves places in the queue, before anything large is read.

        Args:
            images: The number of places.
            held: How many the request has already.

        Raises:
            RequestError: There are not enough free places.
        """
        if self._closing:
            raise RequestError(503, "the server is shutting down", "send it to another one", {"Connection": "close"})
        if images + held > self.limits.queue:
            problem = f"{images + held} images are more than the queue of {self.limits.queue}"
            raise RequestError(413, problem, "send fewer")
        if self.in_work + images > self.limits.queue:
            problem = f"the queue of {self.limits.queue} images is full"
            raise RequestError(429, problem, "try again in a second", {"Retry-After": "1"})
        self.in_work += images
        try:
            yield
        finally:
            self.in_work -= images

    async def predict(self, samples: Sequence[Sample]) -> list[Detections]:
        """Returns the detections in images, in order; their places in the queue are reserved.

        Raises:
            DataError: An image cannot be read.
            Exception: Any other exception of the model.
        """
        loop = asyncio.get_running_loop()
        if self._worker is None or self._worker.done():
            self.start()
        jobs = [_Job(sample, loop.create_future(), loop.time()) for sample in samples]
        self._waiting.extend(jobs)
        self._changed.set()
        try:
            results = await asyncio.gather(*(job.result for job in jobs), return_exceptions=True)
        except asyncio.CancelledError:
            for job in jobs:
                with suppress(ValueError):  # it is in progress
                    self._waiting.remove(job)
            raise
        error = next((result for result in results if isinstance(result, BaseException)), None)
        if error is None:
            return [result for result in results if isinstance(result, Detections)]
        try:
            raise error
        finally:
            # Otherwise, the traceback keeps this frame and the images, and the frame the error: a reference cycle.
            del error, results, jobs, samples

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while await self._filled():
            batch = [self._waiting.popleft() for _ in range(min(self.limits.batch_size, len(self._waiting)))]
            if not batch:  # the clients are gone
                continue
            samples = [job.sample for job in batch]
            started = perf_counter()
            results = await loop.run_in_executor(self._thread, _predicted, self.model, samples)
            self._observe(len(batch), perf_counter() - started)
            for job, result in zip(batch, results, strict=True):
                if job.result.done():  # its client is gone
                    continue
                if isinstance(result, Detections):
                    job.result.set_result(result)
                else:
                    job.result.set_exception(result)

    async def _filled(self) -> bool:
        """Waits for a batch; returns whether there is one, or the work is over."""
        while not self._waiting:
            if self._closing:
                return False
            self._changed.clear()
            await self._changed.wait()
        deadline = self._waiting[0].arrived + self.limits.batch_wait
        while len(self._waiting) < self.limits.batch_size and not self._closing:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left)
        return True


def _predicted(model: Model, samples: Sequence[Sample]) -> list[Detections | Exception]:
    """Returns the detections in each image, or the reason why there are none."""
    done: list[Detections | Exception] = []
    try:
        done.extend(model.predict(samples, batch_size=len(samples)))
    except Exception as error:
        if len(samples) == 1:
            if not isinstance(error, BoxwrightError):
                logging.getLogger("boxwright").info("the model failed", exc_info=error)
            if isinstance(error, StopIteration):  # a future cannot have it
                return [PluginError("the model raised StopIteration")]
            return [_alone(error)]
        # One bad image must not fail its batch. It is found by decoding; if that is not the reason, each image is
        # predicted alone.
        left = samples[len(done) :]
        problems = [_problem(sample) for sample in left]
        good = [sample for sample, problem in zip(left, problems, strict=True) if problem is None]
        parts = [good] if len(good) < len(samples) else [[sample] for sample in good]
        found = iter([each for part in parts if part for each in _predicted(model, part)])
        done += [problem or next(found) for problem in problems]
    if len(done) != len(samples):
        wrong = PluginError(f"the model returned {len(done)} results for {len(samples)} images")
        return [wrong] * len(samples)
    return [
        each if isinstance(each, Detections | Exception) else PluginError(f"the model returned a {type(each).__name__}")
        for each in done
    ]


def _problem(sample: Sample) -> Exception | None:
    """Returns the reason why an image cannot be decoded, or ``None``."""
    try:
        decode_sample(sample)
    except DataError as error:
        return _alone(error)
    return None


def _alone(error: Exception) -> Exception:
    """Removes the traceback, which keeps decoded images in reference cycles that may exist for long."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
