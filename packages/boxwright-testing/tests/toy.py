"""A small plugin of every kind that keeps all promises; the tests copy it and break one promise at a time."""

import json
from pathlib import Path

from boxwright import (
    AugmenterSpec,
    BackendSpec,
    Boxes,
    DataError,
    DatasetInfo,
    Detection,
    Detections,
    FormatSpec,
    ImageRef,
    MetricResult,
    MetricSpec,
    Option,
    OutputError,
    Sample,
    TransformSpec,
    UsageError,
    hookimpl,
)
from boxwright.output import safe_name

boxwright_api = (1, 1)

CARRIES = frozenset({"empty", "subpixel", "box.difficult", "box.pose", "image.camera"})


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
            suffixes=(".toy",),
            docs="https://example.org/toy",
            options=(Option("strict", bool, False, "Refuse boxes without area"),),
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
    return [MetricSpec(name="toymetric", summary="Share of truths found at IoU 0.9", load="toy:Found")]


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
            summary="Mirrors half of the pictures",
            load="toy:Mirror",
            requires=("tensorflow",),
            install="python -m pip install tensorflow",
        )
    ]


def detect(location):
    path = Path(location)
    if path.is_file() and path.suffix == ".toy":
        return Detection(True, "a .toy file")
    return Detection(False, "no .toy file")


class Reader:
    def __init__(self, location, strict=False):
        self.location, self.strict = location, strict
        self.info = DatasetInfo(format="toy", location=location)
        if not Path(location).is_file():
            raise DataError(location, "there is no such file", "check the path")

    def read(self, on_problem):
        names = set()
        seen = 0
        with open(self.location, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                seen += 1
                try:
                    sample = self.sample(json.loads(line.decode("utf-8")), number)
                    if sample.image.name in names:
                        raise ValueError(f"{sample.image.name} stands twice")
                except (ValueError, KeyError, TypeError, OutputError) as error:
                    on_problem(DataError(self.location, str(error), "mend the line", f"line {number}"))
                    continue
                names.add(sample.image.name)
                yield sample
        if not seen:
            on_problem(DataError(self.location, "the file is empty", "write it again"))

    def sample(self, row, number):
        name = safe_name(str(row["name"]), self.location)
        boxes = row["boxes"]
        return Sample(
            image=ImageRef(
                name=name,
                width=row["width"],
                height=row["height"],
                location=str(Path(self.location).parent / "pictures" / name),
            ),
            boxes=Boxes([b["label"] for b in boxes], [tuple(b["edges"]) for b in boxes], [b["more"] for b in boxes]),
            attributes=row["more"],
            source=f"{self.location}, line {number}",
        )


class Writer:
    carried_by_boxes = ("difficult", "pose")

    def __init__(self, output, label_map):
        self.file = self.open(output)
        self.names = set()

    def open(self, output):
        return output.open()

    def write(self, sample):
        if sample.image.name in self.names:
            raise DataError(sample.source, f"{sample.image.name} comes twice", "rename one of the pictures")
        self.names.add(sample.image.name)
        boxes = [
            {
                "label": label,
                "edges": edges,
                "more": {name: value for name, value in attributes.items() if name in self.carried_by_boxes},
            }
            for label, edges, attributes in zip(
                sample.boxes.labels, sample.boxes.edges, sample.boxes.attributes, strict=True
            )
        ]
        row = {
            "name": sample.image.name,
            "width": sample.image.width,
            "height": sample.image.height,
            "boxes": boxes,
            "more": {name: value for name, value in sample.attributes.items() if name == "camera"},
        }
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

        truths = found = 0
        for sample, detections in pairs:
            self.check(sample, detections, label_map)
            truths += len(sample.boxes)
            if len(sample.boxes) and len(detections.boxes):
                found += int((iou(sample.boxes.xyxy, detections.boxes.xyxy).max(axis=1) >= 0.9).sum())
        return MetricResult(values={"found": found / truths if truths else float("nan")}, main="found")

    def check(self, sample, detections, label_map):
        for label in (*sample.boxes.labels, *detections.boxes.labels):
            if label not in label_map:
                place = sample.source or sample.image.name
                raise DataError(place, f"the class {label!r} is not in the label map", "add it there")


class Model:
    def __init__(self, label_map, edges):
        self.label_map, self.edges = label_map, edges

    def predict(self, samples, *, batch_size=8, score=0.0):
        for sample in samples:
            sample.image.read()
            yield self.found(sample).above(score)

    def found(self, sample):
        width, height = sample.image.width, sample.image.height
        edges = tuple(e * s for e, s in zip(self.edges, (width, height, width, height), strict=True))
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
            for x1, y1, x2, y2 in s.boxes.edges
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
