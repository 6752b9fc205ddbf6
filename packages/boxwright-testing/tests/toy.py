"""A small plugin of every kind that keeps all promises; the tests copy it and break one promise at a time."""

import json
import os
from typing import Annotated

import fsspec
import typer

from boxwright import (
    AnnotatorSpec,
    AugmenterSpec,
    BackendSpec,
    Boxes,
    CommandSpec,
    DataError,
    DatasetInfo,
    Detection,
    Detections,
    EngineSpec,
    ExporterSpec,
    FormatSpec,
    ImageRef,
    LabelMap,
    LoaderSpec,
    LoggerSpec,
    MetricResult,
    MetricSpec,
    Option,
    OutputError,
    Sample,
    TrainerSpec,
    TransformSpec,
    UsageError,
    hookimpl,
)
from boxwright.storage import join, safe_name

boxwright_api = (1, 1)

WRITE_OPTIONS = ()
CARRIES = frozenset({"empty", "subpixel", "box.difficult", "box.pose", "image.camera", "dataset.info"})


@hookimpl
def boxwright_formats():
    return [
        FormatSpec(
            name="toy",
            summary="One JSON object a line",
            load="toy:Reader",
            write="toy:Writer",
            detect="toy:detect",
            carries=CARRIES,
            adds=frozenset({"image.count"}),
            suffixes=(".toy",),
            docs="https://example.org/toy",
            options=(Option("strict", bool, False, "Refuse boxes without area"),),
            write_options=WRITE_OPTIONS,
        )
    ]


@hookimpl
def boxwright_transforms():
    return [
        TransformSpec(
            name="grow",
            summary="Enlarges the frame by empty columns on the right, in words only",
            load="toy:Grow",
            positional="by",
            options=(Option("by", int, 0, "Pixels"),),
        )
    ]


@hookimpl
def boxwright_metrics():
    return [MetricSpec(name="toymetric", summary="Share of ground truth boxes found at IoU 0.9", load="toy:Found")]


@hookimpl
def boxwright_backends():
    return [
        BackendSpec(
            name="toybackend",
            summary="The average box everywhere",
            load="toy:Backend",
            presets={"plain": "The only one"},
        )
    ]


@hookimpl
def boxwright_augmenters():
    return [
        AugmenterSpec(
            name="toymirror",
            summary="Mirrors half of the images",
            load="toy:Mirror",
            requires=("tensorflow",),
            install="python -m pip install tensorflow",
        )
    ]


@hookimpl
def boxwright_loggers():
    return [LoggerSpec(name="toylogger", summary="The loss of each epoch", load="toy:Logger")]


@hookimpl
def boxwright_annotators():
    return [AnnotatorSpec(name="toyannotator", summary="Checks every image", load="toy:Annotator")]


@hookimpl
def boxwright_engines():
    return [EngineSpec(name="toyengine", summary="This process", load="toy:Engine")]


class Engine:
    def results(self, work, pieces):
        return (work(start, stop) for start, stop in pieces)

    def close(self):
        pass


class Annotator:
    def annotate(self, session, reporter):
        for image in range(len(session.samples)):
            session.verify(image)
        session.save()


@hookimpl
def boxwright_commands():
    return [CommandSpec(name="toycommand", summary="Greets", load="toy:greet")]


@hookimpl
def boxwright_trainers():
    return [TrainerSpec(name="toytrainer", summary="Trains in this process", load="toy:Trainer")]


@hookimpl
def boxwright_exporters():
    return [
        ExporterSpec(
            name="toyexporter",
            summary="JSON",
            load="toy:Exporter",
            detect="toy:detect_model",
            precisions=("full", "half"),
        )
    ]


@hookimpl
def boxwright_loaders():
    return [
        LoaderSpec(
            name="toys",
            summary="Dicts of arrays",
            load="toy:to_toys",
            options=(Option("bounding_box_format", str, "xyxy", "How four numbers say a box"),),
        )
    ]


def detect(location):
    if not location.endswith(".toy"):
        return Detection(False, "its name does not end in .toy")
    files, path = fsspec.core.url_to_fs(location)
    there = files.isfile(path)
    return Detection(there, "a .toy file" if there else "file not found")


class Reader:
    def __init__(self, location, strict=False):
        self.location, self.strict, self.count = location, strict, 0
        try:
            with self.open() as lines:
                head = self.parsed(next(lines, b"{}"), 1)
                self.has_head = "toy" in head
                self.count = sum(1 for _ in lines) + (not self.has_head)
        except FileNotFoundError:
            raise DataError(location, "file not found", "check the path") from None
        except (ValueError, TypeError, RecursionError):
            head, self.has_head = {}, False
        dataset = head.get("dataset") or {}
        self.info = DatasetInfo(
            format="toy", location=location, attributes=dataset if isinstance(dataset, dict) else {}
        )

    def open(self):
        return fsspec.open(self.location, "rb").open()

    def read(self, on_problem):
        names = set()
        for sample in self.items(0, None, on_problem):
            if sample.image.name in names:
                on_problem(DataError(sample.source, f"{sample.image.name} is a duplicate", "remove the line"))
                continue
            names.add(sample.image.name)
            yield sample

    def items(self, start, stop, on_problem):
        number = -1
        for number, (place, line) in enumerate(self.lines()):
            if start <= number and (stop is None or number < stop):
                try:
                    sample = self.sample(self.parsed(line, place), place)
                except (ValueError, KeyError, TypeError, RecursionError, OutputError) as error:
                    on_problem(DataError(self.location, str(error), "correct the line", f"line {place}"))
                    continue
                yield sample
        if number < 0:
            on_problem(DataError(self.location, "the file contains no image", "write it again"))

    def lines(self):
        with self.open() as lines:
            for place, line in enumerate(lines, start=1):
                if place > 1 or not self.has_head:
                    yield place, line

    def parsed(self, line, place):
        row = json.loads(line.decode("utf-8"))
        if not isinstance(row, dict):
            raise ValueError("it is not an object")
        return row

    def labels(self):
        return self.item_labels(0, None)

    def item_labels(self, start, stop):
        for number, (place, line) in enumerate(self.lines()):
            if start <= number and (stop is None or number < stop):
                yield [box["label"] for box in self.parsed(line, place)["boxes"]]

    def sample(self, row, number):
        name = safe_name(str(row["name"]), self.location)
        boxes = row["boxes"]
        return Sample(
            image=ImageRef(
                name=name,
                width=row["width"],
                height=row["height"],
                location=join(join(os.path.dirname(self.location), "pictures"), name),
            ),
            boxes=Boxes([b["label"] for b in boxes], [tuple(b["edges"]) for b in boxes], [b["more"] for b in boxes]),
            attributes=row["more"],
            source=f"{self.location}, line {number}",
        )


class Writer:
    carried_by_boxes = ("difficult", "pose")

    def __init__(self, output, label_map):
        self.file = self.open(output)
        dataset = {name: value for name, value in output.dataset_attributes.items() if name == "info"}
        self.add({"toy": 1, "dataset": dataset})
        self.names = set()

    def open(self, output):
        return output.open()

    def write(self, sample):
        if sample.image.name in self.names:
            raise DataError(sample.source, f"{sample.image.name} is a duplicate", "rename one of the images")
        self.names.add(sample.image.name)
        self.add(self.row(sample))

    def row(self, sample):
        boxes = [
            {
                "label": label,
                "edges": edges,
                "more": {name: value for name, value in attributes.items() if name in self.carried_by_boxes},
            }
            for label, edges, attributes in zip(
                sample.boxes.labels, sample.boxes.coordinates, sample.boxes.attributes, strict=True
            )
        ]
        return {
            "name": sample.image.name,
            "width": sample.image.width,
            "height": sample.image.height,
            "boxes": boxes,
            "more": {name: value for name, value in sample.attributes.items() if name == "camera"}
            | {"count": len(boxes)},
        }

    def add(self, row):
        self.file.write(json.dumps(row).encode() + b"\n")

    def close(self):
        self.file.close()


class Grow:
    per_sample = True

    def __init__(self, by=0):
        if by < 0:
            raise UsageError(f"by is {by}", "give 0 or more")
        self.by = by

    def __call__(self, samples):
        for sample in samples:
            yield self.changed(sample)

    def changed(self, sample):
        return sample.replace(attributes=sample.attributes | {"grown": self.by})


class Found:
    def __call__(self, pairs, label_map):
        from boxwright import iou

        ground_truth = found = 0
        for sample, detections in pairs:
            self.check(sample, detections, label_map)
            ground_truth += len(sample.boxes)
            if len(sample.boxes) and len(detections.boxes):
                found += int((iou(sample.boxes.xyxy, detections.boxes.xyxy).max(axis=1) >= 0.9).sum())
        return MetricResult(values={"found": found / ground_truth if ground_truth else float("nan")}, main="found")

    def check(self, sample, detections, label_map):
        for label in (*sample.boxes.labels, *detections.boxes.labels):
            if label not in label_map:
                place = sample.source or sample.image.name
                raise DataError(place, f"the class {label!r} is not in the label map", "add it there")


class Model:
    def __init__(self, label_map, edges):
        self.label_map, self.coordinates = label_map, edges

    def predict(self, samples, *, batch_size=8, score=0.0):
        for sample in samples:
            sample.image.read()
            yield self.found(sample).above(score)

    def found(self, sample):
        width, height = sample.image.width, sample.image.height
        edges = tuple(e * s for e, s in zip(self.coordinates, (width, height, width, height), strict=True))
        names = self.label_map.names
        scored = [{"score": 0.9 - 0.1 * position} for position in range(len(names))]
        return Detections(image=sample.image, boxes=Boxes(names, [edges] * len(names), scored))


class Backend:
    model = Model

    def fit(self, job):
        done = int(job.run.file("checkpoints/epoch").read_text()) if job.resume else 0
        rows = [
            [x1 / s.image.width, y1 / s.image.height, x2 / s.image.width, y2 / s.image.height]
            for s in job.data
            for x1, y1, x2, y2 in s.boxes.coordinates
        ]
        for epoch in range(done + 1, job.epochs + 1):
            with job.run.open_write("checkpoints/epoch") as file:
                file.write(str(epoch).encode())
            job.epoch_ended(epoch, {"loss": self.loss(epoch)})
        with job.run.open_write("model/average.json") as file:
            file.write(json.dumps([sum(column) / len(rows) for column in zip(*rows, strict=True)]).encode())

    def loss(self, epoch):
        return 1.0 / epoch

    def load(self, run):
        return self.model(run.label_map, json.loads(run.file("model/average.json").read_bytes()))


class Logger:
    @hookimpl
    def boxwright_epoch_ended(self, run, epoch, metrics):
        with run.file("toy.txt").open("a") as file:
            file.write(f"{epoch} {metrics['loss']}\n")


def greet(name: Annotated[str, typer.Argument(help="Who.")] = "you") -> None:
    """Greets somebody."""
    print(f"Hello, {name}.")


class Mirror:
    def __call__(self, example, seed):
        import tensorflow as tf

        image, boxes = example["images"], example["boxes"]
        width = tf.cast(tf.shape(image)[1], boxes.dtype)
        xmin, ymin, xmax, ymax = tf.unstack(boxes, axis=-1)
        mirrored = tf.stack([width - xmax, ymin, width - xmin, ymax], axis=-1)
        flip = self.chance(seed) < 0.5
        return example | {
            "images": tf.where(flip, image[:, ::-1], image),
            "boxes": tf.where(flip, mirrored, boxes),
        }

    def chance(self, seed):
        import tensorflow as tf

        return tf.random.stateless_uniform([], seed)


class Trainer:
    def train(self, backend, job):
        backend.fit(job)


class Exporter:
    def export(self, run, out, precision=""):
        edges = json.loads(run.file("model/averages.json").read_bytes())
        digits = 4 if precision == "half" else 17
        edges = {name: [round(edge, digits) for edge in row] for name, row in edges.items()}
        content = {"classes": run.label_map.names, "edges": edges}
        artifact = out / "model.json"
        artifact.write_text(json.dumps(content), "utf-8")
        return artifact

    def load(self, artifact):
        try:
            content = json.loads(artifact.read_text("utf-8"))
            classes, edges = content["classes"], content["edges"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DataError(artifact, f"it is not a toy artifact: {error}", "export again") from None
        from boxwright_testing.probe import ProbeModel

        return ProbeModel(LabelMap.from_names(classes, sort=False), edges)


def detect_model(path):
    there = os.path.isfile(path) and path.endswith(".json")
    return Detection(there, "a .json file" if there else "no .json file")


class Toys:
    def __init__(self, dataset, bounding_box_format):
        self.dataset, self.format = dataset, bounding_box_format

    def __iter__(self):
        label_map = self.dataset.label_map
        for sample in self.dataset:
            yield self.example(sample, [label_map.index(label) for label in sample.boxes.labels])

    def example(self, sample, classes):
        from boxwright import convert_format

        size = (sample.image.width, sample.image.height)
        boxes = convert_format(sample.boxes.xyxy, "xyxy", self.format, image_size=size)
        return {"images": self.pixels(sample), "bounding_boxes": {"boxes": boxes, "classes": classes}}

    def pixels(self, sample):
        import numpy as np

        from boxwright.images import decode_sample

        return np.asarray(decode_sample(sample).image)


def to_toys(dataset, *, bounding_box_format="xyxy"):
    from boxwright import convert_format

    convert_format([[0, 0, 1, 1]], "xyxy", bounding_box_format, image_size=(1, 1))
    return Toys(dataset, bounding_box_format)
