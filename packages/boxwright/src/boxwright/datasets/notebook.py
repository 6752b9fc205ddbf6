"""HTML of samples for notebooks: images with their boxes, in a cell's output."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

from boxwright.errors import BoxwrightError
from boxwright.schemas import Sample

_SIDE = 320
_LONGEST = 80  # characters of a name or a class
_MOST_DRAWN = 100  # boxes; more hide the image


def html_of_samples(title: str, samples: Iterable[Sample]) -> str:
    """Returns a few samples as HTML, with their boxes drawn; an image that cannot be read is its name and the reason.

    Args:
        title: A line above them.
        samples: The samples.
    """
    cells = []
    try:
        for sample in samples:
            name = sample.image.name[:_LONGEST]
            caption = f"{name}, {sample.image.width}x{sample.image.height}, {len(sample.boxes)} boxes"
            cells.append(
                f"<figure style='display:inline-block;margin:4px'>{_image(sample)}"
                f"<figcaption>{escape(caption)}</figcaption></figure>"
            )
    except BoxwrightError as error:
        cells.append(f"<pre>{escape(str(error))}</pre>")
    return f"<div><p>{escape(title)}</p>{''.join(cells)}</div>"


def _image(sample: Sample) -> str:
    from boxwright.images.decode import decode_sample, encode_jpeg
    from boxwright.render.boxes import draw_boxes

    try:
        decoded = decode_sample(sample)
    except BoxwrightError as error:
        return f"<pre>{escape(str(error))}</pre>"
    boxes = decoded.boxes[:_MOST_DRAWN]
    scores = [attributes["score"] for attributes in boxes.attributes if "score" in attributes]
    labels = [label[:_LONGEST] for label in boxes.labels]
    shown = scores if boxes and len(scores) == len(boxes) else None
    drawn = draw_boxes(decoded.image, boxes.xyxy, labels, shown, max_side=2 * _SIDE)
    data = base64.b64encode(encode_jpeg(drawn)).decode()
    return f"<img width='{_SIDE}' src='data:image/jpeg;base64,{data}'>"
