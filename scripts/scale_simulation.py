"""Counts the requests, and measures the memory, of reading annotations from object storage.

    python scripts/scale_simulation.py 20000 200000 --layout shards

It starts an S3 server of moto, with the annotations of so many images: an XML object for each image (labelImg), or
TFRecord files of 10,000 images. A new process then opens and reads each dataset; of the first kind it lists
all objects and reads some, because that takes one request after another. The requests are counted in the server. One
line per dataset is printed, as JSON, with the cost of opening it, and of opening and reading it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boxwright
from boxwright import Boxes, ImageRef, Sample

BUCKET = "photos"
SHARD = 10_000
MEASURE = Path(__file__).parents[1] / "tests" / "benchmarks" / "measure.py"
XML = """<annotation><filename>{name}</filename>
<size><width>640</width><height>480</height><depth>3</depth></size>{boxes}
</annotation>"""
BOX = """
<object><name>{label}</name><difficult>0</difficult>
<bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"""


def boxes_of(number: int) -> Iterable[tuple[str, int, int, int, int]]:
    """Yields four boxes of an image: the label, and the coordinates."""
    for box in range(4):
        x, y = (number * 7 + box * 131) % 500, (number * 13 + box * 89) % 380
        yield f"class {(number + box) % 80:02d}", x, y, x + 20 + number % 90, y + 20 + box * 20


def xml_of(number: int) -> bytes:
    """Returns the annotation of an image as labelImg writes it."""
    boxes = "".join(
        BOX.format(label=label, x=x, y=y, right=right, bottom=bottom) for label, x, y, right, bottom in boxes_of(number)
    )
    return XML.format(name=f"{number:09d}.jpg", boxes=boxes).encode()


def sample_of(number: int) -> Sample:
    """Returns the same annotation as a sample."""
    rows = [*boxes_of(number)]
    image = ImageRef(name=f"{number:09d}.jpg", width=640, height=480)
    return Sample(image=image, boxes=Boxes([row[0] for row in rows], [row[1:] for row in rows]))


class Store:
    """An S3 server of moto in this process, which counts its requests.

    Attributes:
        address: Its URL.
        requests: The number of requests by what was requested.
        sent: The bytes of the answers.
    """

    def __init__(self) -> None:
        from moto.backends import get_backend
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self.requests: Counter[str] = Counter()
        self.sent = 0
        application = DomainDispatcherApplication(create_backend_app)

        def counted(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            what = environ["REQUEST_METHOD"]
            listing = "list-type" in environ.get("QUERY_STRING", "")
            self.requests["LIST" if listing else what] += 1
            for part in application(environ, start):
                self.sent += len(part)
                yield part

        self._server = make_server("127.0.0.1", 0, counted, threaded=True)
        self.address = f"http://127.0.0.1:{self._server.port}"
        self._backend = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"]
        self._backend.create_bucket(BUCKET, "us-east-1")
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def put(self, key: str, content: bytes) -> None:
        """Adds an object, without a request."""
        self._backend.put_object(BUCKET, key, content)


def fill(store: Store, images: int, layout: str) -> str:
    """Adds the annotations of some images, and returns the URI of the dataset."""
    if layout == "files":
        for number in range(images):
            store.put(f"files-{images}/{number:09d}.xml", xml_of(number))
        return f"labelimg:s3://{BUCKET}/files-{images}"
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, images, SHARD):
            target = f"{folder}/{start:09d}.record"
            numbers = range(start, min(start + SHARD, images))
            data = boxwright.from_samples([sample_of(number) for number in numbers])
            boxwright.convert(data, f"tfrecord:{target}?images=remember", workers=1)
            store.put(f"shards-{images}/{start:09d}.record", Path(target).read_bytes())
    return f"tfrecord:s3://{BUCKET}/shards-{images}"


READ = """
import itertools, sys
import boxwright
images = boxwright.open(sys.argv[1])
count = sum(1 for _ in itertools.islice(images, int(sys.argv[2])))
assert count == int(sys.argv[2]), count
"""


def measured(store: Store, uri: str, images: int) -> dict[str, Any]:
    """Opens a dataset in a new process, and reads its first images."""
    environment = os.environ | {
        "AWS_ENDPOINT_URL": store.address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    store.requests.clear()
    store.sent = 0
    command = [sys.executable, "-c", READ, uri, str(images)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(MEASURE), *command],
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    usage = json.loads(done.stdout)
    if usage["status"]:
        raise SystemExit(done.stderr)
    return usage | {"requests": dict(store.requests), "bytes": store.sent}


def main() -> None:
    """Prints what each size of each layout takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=int, nargs="+", help="the numbers of images")
    parser.add_argument("--layout", choices=("files", "shards"), nargs="+", default=("files", "shards"))
    parser.add_argument("--read", type=int, default=1000, help="how many of the objects with one image are read")
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = Store()
    for layout in arguments.layout:
        for images in arguments.images:
            uri = fill(store, images, layout)
            for count in (0, min(arguments.read, images) if layout == "files" else images):
                row = {"layout": layout, "images": images, "read": count}
                print(json.dumps(row | measured(store, uri, count)), flush=True)


if __name__ == "__main__":
    main()
