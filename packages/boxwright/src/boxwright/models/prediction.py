"""Prediction: detections in images, and drawings of them."""

from __future__ import annotations

import glob
import io
import json
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from boxwright.datasets.dataset import Dataset, SampleReader, open_dataset
from boxwright.datasets.engines import opened_engine
from boxwright.datasets.image_folder import PictureReader, unique_name
from boxwright.datasets.losses import Losses
from boxwright.datasets.outputs import refuse_to_swallow
from boxwright.datasets.parts import in_parts
from boxwright.datasets.problems import Problems
from boxwright.datasets.protocols import Engine, OnProblem
from boxwright.errors import DataError, UsageError
from boxwright.label_map import LabelMap
from boxwright.models.annotations import Annotations, OnlyNew, annotations_uri, name_inside
from boxwright.models.decoder import DecoderSettings
from boxwright.models.detecting import Detecting, source_of, without_bytes
from boxwright.models.inference import check_batch_size, predicted_pairs, ready_model
from boxwright.models.protocols import Model
from boxwright.models.recording import DETECTIONS, FRAMES, Recording, detections_as_json, frame_as_jpeg
from boxwright.models.run import Run
from boxwright.models.slicing import SlicedModel, Slicing
from boxwright.models.tuned import decoder_of
from boxwright.models.video import VIDEO_SUFFIXES, Video, VideoReader, ended_by_interrupt, is_video, shown_place
from boxwright.plugins.options import MAX_BAD
from boxwright.plugins.registry import Registry, default_registry
from boxwright.progress import LogReporter, Reporter
from boxwright.schemas import DatasetInfo, Detections, ImageRef, Sample
from boxwright.storage.output import AtomicOutput
from boxwright.storage.uri import DatasetURI, is_remote

if TYPE_CHECKING:
    from boxwright.render.boxes import Color

_ELSEWHERE = "write the drawings to another folder"
_NO_PATH = re.compile(r"\w[\w.+-]+:")
"""How a URI begins; a single letter is a drive of Windows."""
_SHOWN = 4
"""How many images a notebook shows of a prediction."""

Input = Any
"""An image as a path, bytes, a Pillow image or an array; a folder of images; or a dataset URI."""


@dataclass(repr=False)
class Prediction:
    """The result of a prediction.

    Attributes:
        detections: One entry per image, in order. The bytes of images from a record file are not kept: memory would
            grow with the dataset. The detections in videos are in the files alone, if there are any.
        drawings: The images, or videos, with their detections drawn on them, if ``out`` was passed.
        files: Other files written: ``detections.json``, ``detections.jsonl`` of videos, or a dataset.
        skipped: Images that could not be read.
        losses: What the format of the dataset cannot store.
        kept: The number of images that were in the dataset before, and are unchanged, with ``only_new``.
        videos: What was read of each video.
        score: The lowest score of the detections; by class if the model was tuned so.
    """

    detections: list[Detections]
    drawings: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    skipped: list[DataError] = field(default_factory=list)
    losses: Losses = field(default_factory=Losses)
    kept: int = 0
    videos: list[Video] = field(default_factory=list)
    score: float | dict[str, float] = 0.3

    def __repr__(self) -> str:
        boxes = sum(len(found.boxes) for found in self.detections)
        return f"<Prediction {len(self.detections):,} images, {boxes:,} detections>"

    def _repr_html_(self) -> str:
        """The first images with their detections, for notebooks."""
        from boxwright.datasets.notebook import html_of_samples

        return html_of_samples(repr(self), (found.to_sample() for found in self.detections[:_SHOWN]))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: boxes as ``xmin ymin xmax ymax`` in pixels."""
        return {
            "pictures": [_plain(found) for found in self.detections],
            "drawn": [str(path) for path in self.drawings],
            "files": [str(path) for path in self.files],
            "skipped": [str(error) for error in self.skipped],
            "dropped": dict(self.losses.dropped),
            "changed": dict(self.losses.changed),
            "kept": self.kept,
            "videos": [asdict(video) for video in self.videos],
            "score": self.score,
        }


def predict(
    model: str | Path | Run | Model,
    inputs: Input | Dataset | Sequence[Input],
    *,
    out: str | Path | None = None,
    to: str | None = None,
    score: float | None = None,
    batch_size: int = 8,
    on_error: str = MAX_BAD,
    overwrite: bool = False,
    only_new: bool = False,
    slicing: str | Slicing = "",
    frames: int = 0,
    label_map: str | Path | LabelMap | None = None,
    device: str = "",
    engine: str | Engine | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Prediction:
    """Finds objects in images and videos.

    Args:
        model: A run, its folder, an exported model, or a loaded one.
        inputs: Images, folders of images, or dataset URIs; one or several. An image is a path, encoded bytes, a Pillow
            image, or an array of shape (height, width, 3) or (height, width), uint8, RGB or gray. Or videos: files,
            the number of a camera such as ``"0"``, or the address of an RTSP stream. Paths may contain ``*``.
        out: A folder for the images with boxes drawn and for ``detections.json``; for videos, MP4 files and
            ``detections.jsonl``, one line per frame.
        to: Also write the detections as annotations, with the class ids of the model: a dataset ``FORMAT:LOCATION``,
            or ``FORMAT`` for one inside ``out``.
        score: Leave out detections below it, 0..1; by default the score that the model was tuned for, or else 0.3.
        batch_size: The number of images predicted at once.
        on_error: ``"fail"`` or ``"skip"`` images that cannot be read, or a limit such as ``"1%"`` or ``"3"``.
        overwrite: Whether an existing ``out``, and an existing dataset ``to``, may be replaced.
        only_new: Add to the dataset ``to``: images that it contains are left out, and their annotations stay unchanged.
        slicing: Tiles that large images are cut into, such as ``"512x512:overlap=0.2"``; see :class:`Slicing`.
        frames: The number of frames to read from each video; 0 for all. Ctrl-C ends a camera or a stream, too.
        label_map: The classes of an exported model that does not say them itself.
        device: The device that an exported model runs on; its exporter chooses one by default.
        engine: The machines that predict and draw, if the format of the data lets them: ``"ray"`` or
            ``"ray:address=10.0.0.1:6379"``; the output is the same.
        reporter: Where progress goes.
        registry: The plugins to use, instead of the installed ones.

    Raises:
        UsageError: A score outside 0..1, a batch size below 1, an ``out`` that is a URL or would replace an input, a
            ``to`` without a place, or one that would replace an input or ``out``, ``only_new`` without a dataset, or
            ``frames`` of images, or a loaded model for other machines.
        DataError: An image or a video cannot be read, or there is none.
        MissingLibraryError: A video needs OpenCV, which is not installed.
        RunError: The folder is not a run, or the run has no model.
        OutputError: ``out`` or ``to`` exists already.
        PluginNotFoundError: There is no format ``to``.
        EngineError: The machines cannot be reached, or cannot do the work.
    """
    source = source_of(model, engine)
    plugins, reporter = registry or default_registry(), reporter or LogReporter()
    if score is not None and not 0 <= score <= 1:
        raise UsageError(f"the score is {score:g}", "give a number from 0 to 1")
    check_batch_size(batch_size)
    if out is not None and is_remote(str(out)):
        raise UsageError(f"{out} is not a local folder", "predict into a local folder, and copy it there")
    apart = annotations_uri(to, None if out is None else str(out), plugins) if to is not None else None
    if only_new and apart is None:
        raise UsageError("only_new adds to a dataset", "name it: --to FORMAT:PLACE")
    annotations = Annotations(apart, plugins, overwrite=overwrite, only_new=only_new) if apart is not None else None
    data = gather(inputs, on_error=on_error, frames=frames, registry=plugins)
    video = data.reader if isinstance(data.reader, VideoReader) else None
    for note in data.info.notes if isinstance(data.reader, PictureReader) else ():
        reporter.warning(note)
    sources = [*data.locations, *data.boundary.roots]
    for place in sources if out is not None and overwrite else ():
        refuse_to_swallow(place, str(out), _ELSEWHERE)
    if annotations is not None:
        annotations.check_places(None if out is None else str(out), sources)
    new = annotations.new if annotations is not None else OnlyNew()
    if new:
        if isinstance(data.reader, PictureReader | SampleReader):  # what is refused is refused before the work
            deque(new(Dataset(data.reader, problems=Problems("skip"))), maxlen=0)
        data = data.through(new)
    loaded = ready_model(model, label_map, plugins, device, slicing)
    if annotations is not None:
        annotations.check_classes(loaded.label_map)
    decoder = decoder_of(loaded) if score is None else DecoderSettings(score=score)
    prediction = Prediction([], score=_plain_score(decoder, loaded.label_map))
    with ExitStack() as stack:
        output = stack.enter_context(AtomicOutput(str(out), "folder", overwrite=overwrite)) if out is not None else None
        machines = stack.enter_context(opened_engine(engine, plugins))
        drawings: _Drawings | Recording | None = None
        if video is not None:
            drawings = stack.enter_context(Recording(output, loaded.label_map))
            stack.enter_context(ended_by_interrupt(video))
        elif output is not None:
            drawings = _Drawings(output)
        keep = video is None or (out is None and to is None)
        work = _Work(
            loaded,
            source,
            batch_size,
            label_map,
            device,
            str(slicing),
            light=machines is not None,
            decoder=decoder,
            draws=isinstance(drawings, _Drawings),
        )

        def detected() -> Iterator[Detections]:
            with reporter.task("Predicting", data.info.num_samples) as task:
                for sample, found, drawing in in_parts(
                    data, work, machines, reporter, items=work.items, places=work.places
                ):
                    if out is not None and overwrite and sample.image.location is not None:
                        refuse_to_swallow(sample.image.location, str(out), _ELSEWHERE)
                    try:
                        if isinstance(drawings, Recording):
                            name = drawings.add(sample, found)
                        else:
                            name = drawings.add(sample, drawing) if drawings is not None else ""
                    except DataError as error:
                        data.problems(error)
                        continue
                    if name:
                        prediction.drawings.append(Path(str(out), name))
                    if keep:
                        prediction.detections.append(without_bytes(found))
                    task.advance()
                    yield found if video is None or annotations is None else frame_as_jpeg(found)

        if to is not None and annotations is None:
            assert output is not None
            assert output.workplace is not None
            name = name_inside(plugins.get("format", to).spec, DETECTIONS if video is None else FRAMES)
            inside = DatasetURI(os.path.join(output.workplace, name), to)
            annotations = Annotations(inside, plugins, overwrite=False, only_new=False)
            prediction.files.append(Path(str(out), name))
        elif annotations is not None:
            prediction.files.append(Path(annotations.uri.location))
        if annotations is None:
            deque(detected(), maxlen=0)
        else:
            samples = detected()
            first = list(islice(samples, 1))
            if first or not new.kept:  # else there is nothing to add
                reader = _DetectionReader(chain(first, samples), data.info, data.locations)
                annotations.write(Dataset(reader, problems=data.problems, label_map=loaded.label_map), loaded.label_map)
            prediction.losses, prediction.kept = annotations.losses, new.kept
            if annotations.losses:
                lost = annotations.losses.describe()
                reporter.warning(f"{annotations.uri.format} cannot hold everything that was found; left out: {lost}")
        done = sum(each.frames for each in video.videos) if video is not None else len(prediction.detections)
        if not done and not prediction.kept:
            raise DataError(data.info.location, "it contains no readable image", "pass images or a folder of images")
        data.problems.finish(done)
        if isinstance(drawings, Recording) and video is not None:
            prediction.videos = video.videos
            prediction.drawings += [Path(str(out), name) for name in drawings.names]
            for each in video.videos:
                if each.note:
                    reporter.warning(f"{each.name}: {each.note}")
            if output is not None:
                prediction.files.insert(0, Path(str(out), FRAMES))
        elif output is not None:
            with output.open(DETECTIONS) as file:
                content = {"pictures": [_plain(found) for found in prediction.detections], "score": prediction.score}
                file.write((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
            prediction.files.insert(0, Path(str(out), DETECTIONS))
    prediction.skipped = data.problems.skipped
    return prediction


def _plain_score(decoder: DecoderSettings, label_map: LabelMap) -> float | dict[str, float]:
    return dict(zip(label_map.names, decoder.score, strict=True)) if isinstance(decoder.score, tuple) else decoder.score


@dataclass
class _Work(Detecting):
    """Yields each sample with the detections that are shown, and the image with them drawn on it, as JPEG.

    Attributes:
        decoder: Which detections are shown.
        draws: Whether images are drawn.
    """

    decoder: DecoderSettings = field(default_factory=DecoderSettings)
    draws: bool = False

    def __call__(self, data: Dataset) -> Iterator[tuple[Sample, Detections, bytes]]:  # type: ignore[override]
        model = self.model
        if isinstance(model, SlicedModel):  # what is not shown must not enlarge what is
            model = SlicedModel(model.model, model.slicing)
            model.shown = self.decoder.shown
        colors = _colors(model.label_map) if self.draws else {}
        for sample, found in predicted_pairs(model, data, batch_size=self.batch_size):
            found = self.decoder.shown(found, model.label_map)
            try:
                drawing = _drawn(sample, found, colors) if self.draws else b""
            except DataError as error:
                data.problems(error)
                continue
            yield (without_bytes(sample), without_bytes(found), drawing) if self.light else (sample, found, drawing)


def _colors(label_map: LabelMap) -> Mapping[str, Color]:
    from boxwright.render.boxes import palette

    return palette(label_map.names)


def _drawn(sample: Sample, found: Detections, colors: Mapping[str, Color]) -> bytes:
    from boxwright.images.decode import decode_sample, encode_jpeg
    from boxwright.render.boxes import draw_boxes

    decoded = decode_sample(sample.replace(boxes=found.boxes))
    boxes = decoded.boxes
    return encode_jpeg(draw_boxes(decoded.image, boxes.xyxy, boxes.labels, found.scores, colors=colors))


class _Drawings:
    """Puts drawings of images into an output, each with a unique name."""

    def __init__(self, output: AtomicOutput) -> None:
        self._output = output
        self._names: set[str] = set()

    def add(self, sample: Sample, drawing: bytes) -> str:
        """Adds the drawing of an image and returns its name."""
        name = str(PurePosixPath(unique_name(sample.image.name, self._names)).with_suffix(".jpg"))
        with self._output.open(name) as file:
            file.write(drawing)
        return name


def _plain(found: Detections) -> dict[str, Any]:
    return {
        "picture": found.image.location or found.image.name,
        "width": found.image.width,
        "height": found.image.height,
        "detections": detections_as_json(found),
    }


class _DetectionReader:
    """Yields detections as samples, once."""

    def __init__(self, found: Iterable[Detections], info: DatasetInfo, locations: tuple[str, ...]) -> None:
        self._found = found
        self.info = DatasetInfo(format="detections", location=info.location, num_samples=info.num_samples)
        self.locations = locations

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        return (found.to_sample() for found in self._found)


def gather(
    inputs: Input | Dataset | Sequence[Input],
    *,
    on_error: str = "fail",
    frames: int = 0,
    registry: Registry | None = None,
) -> Dataset:
    """Returns images, folders, videos or one dataset URI as a dataset.

    Raises:
        UsageError: URIs, videos and images are mixed, an input is something else, or ``frames`` is not for videos.
        DataError: Something is not there.
    """
    dataset = _gathered(inputs, on_error, frames, registry)
    if frames < 0 or (frames and not isinstance(dataset.reader, VideoReader)):
        raise UsageError(f"frames is {frames}", "set it for videos, to the number of frames to read from each")
    return dataset


def _gathered(
    inputs: Input | Dataset | Sequence[Input], on_error: str, frames: int, registry: Registry | None
) -> Dataset:
    if isinstance(inputs, Dataset):
        return inputs
    given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    if not given:
        raise UsageError("nothing to predict on", "pass images, a folder, or a dataset URI")
    if not all(isinstance(item, str | os.PathLike) for item in given):
        dataset = Dataset(
            SampleReader([_in_memory(item, i) for i, item in enumerate(given)]), problems=Problems(on_error)
        )
        dataset.problems.total = len(given)
        return dataset
    items = [path for item in given for path in _expanded(str(item))]
    videos = [item for item in items if is_video(item)]
    if videos:
        if len(videos) < len(items):
            other = next(item for item in items if item not in videos)
            raise UsageError(f"{shown_place(videos[0])} is a video and {other} is not", "run it once for each")
        dataset = Dataset(VideoReader(videos, frames), problems=Problems(on_error))
        dataset.problems.total = dataset.info.num_samples
        return dataset
    if all(os.path.exists(item) for item in items):
        reader = PictureReader(items)
        ignored = [path for item in items if os.path.isdir(item) for path in _videos_in(item)]
        if ignored:
            note = f"videos are left out: {ignored[0]}{f' and {len(ignored) - 1} more' if ignored[1:] else ''}"
            reader.info = reader.info.model_copy(update={"notes": (f"{note}; name them to read them",)})
        dataset = Dataset(reader, problems=Problems(on_error))
        dataset.problems.total = dataset.info.num_samples
        return dataset
    if len(items) == 1 and (":" in items[0] or is_remote(items[0])):
        return open_dataset(items[0], on_error=on_error, registry=registry)
    missing = next(item for item in items if not os.path.exists(item))
    if ":" in missing:
        raise UsageError(f"{missing}: one dataset URI, or images and folders, not both", "run it once for each")
    raise DataError(missing, "image or folder not found", "check the path")


def _expanded(item: str) -> list[str]:
    """Returns the files of a pattern, or the videos of a folder without images; else the item itself.

    Raises:
        DataError: No file matches the pattern.
    """
    if os.path.isdir(item):
        videos = _videos_in(item)
        if videos and not PictureReader([item]).info.num_samples:
            return videos
    if os.path.exists(item) or _NO_PATH.match(item) or not glob.has_magic(item):
        return [item]
    found = sorted(glob.glob(item, recursive=True))
    if not found:
        raise DataError(item, "no file matches", "check the path and the pattern")
    return found


def _videos_in(folder: str) -> list[str]:
    names = [name for name in sorted(os.listdir(folder)) if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES]
    return [os.path.join(folder, name) for name in names if not name.startswith(".")]


def _in_memory(item: Any, number: int) -> Sample:
    """Returns an image that is not a file, or a file next to such images, as a sample."""
    import numpy as np
    from PIL import Image

    from boxwright.images.decode import image_ref, read_header

    name = f"image-{number:04d}"
    if isinstance(item, str | os.PathLike):
        return Sample(image=image_ref(os.fspath(item)))
    if isinstance(item, np.ndarray):
        if (
            item.dtype != np.uint8
            or item.ndim not in (2, 3)
            or (item.ndim == 3 and item.shape[2] != 3)
            or not item.size
        ):
            raise UsageError(
                f"input {number} is an array of {item.dtype} of shape {item.shape}",
                "pass uint8 of shape (height, width, 3), RGB, or (height, width), gray",
            )
        item = Image.fromarray(item)
    if isinstance(item, Image.Image):
        buffer = io.BytesIO()
        plain = item if item.mode in ("L", "RGB", "RGBA") else item.convert("RGB")
        plain.save(buffer, "PNG", compress_level=1)
        item = buffer.getvalue()
    if not isinstance(item, bytes | bytearray | memoryview):
        kind = type(item).__name__
        raise UsageError(f"input {number} is a {kind}, not an image", "pass a path, bytes, a Pillow image or an array")
    data = bytes(item)
    header = read_header(data, name)
    width, height = header.upright_size
    return Sample(image=ImageRef(name=f"{name}.{header.format}", width=width, height=height, data=data))
