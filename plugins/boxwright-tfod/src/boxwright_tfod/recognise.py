"""Tells whether a file or folder is a detector of the API, without TensorFlow."""

from __future__ import annotations

import mmap
import os

from boxwright.plugins import Detection

POSTPROCESS = b"TFLite_Detection_PostProcess"
"""The custom operation that ends an SSD for TensorFlow Lite."""

_TFLITE = b"TFL3"  # the file identifier of tensorflow/lite/schema/schema.fbs
_GRAPH_NAMES = (b"image_tensor", b"detection_boxes", b"detection_classes")


def saved_model(path: str) -> Detection:
    """Says yes to a folder with a ``saved_model.pb`` that names the API's outputs."""
    file = os.path.join(path, "saved_model.pb")
    if not os.path.isfile(file):
        return Detection(False, "it is no folder with a saved_model.pb")
    if _holds(file, (b"detection_boxes", b"detection_classes")):
        return Detection(True, "its saved_model.pb names detection_boxes and detection_classes")
    return Detection(False, "its saved_model.pb names no detection_boxes")


def frozen_graph(path: str) -> Detection:
    """Says yes to a ``.pb`` file that names the tensors of a detector."""
    if not os.path.isfile(path) or not path.lower().endswith(".pb"):
        return Detection(False, "it is no .pb file")
    if os.path.basename(path) == "saved_model.pb":
        return Detection(False, "it belongs to a SavedModel: give its folder")
    if _holds(path, _GRAPH_NAMES):
        return Detection(True, "it names image_tensor and detection_boxes")
    return Detection(False, "it names no image_tensor and detection_boxes")


def tflite(path: str) -> Detection:
    """Says yes to a TensorFlow Lite model that ends in the operation for SSD."""
    if not os.path.isfile(path):
        return Detection(False, "it is no .tflite file")
    with open(path, "rb") as file:
        if file.read(8)[4:] != _TFLITE:
            return Detection(False, "it does not begin as a .tflite file does")
    if _holds(path, (POSTPROCESS,)):
        return Detection(True, "it is a TensorFlow Lite model with TFLite_Detection_PostProcess")
    return Detection(False, "it is a TensorFlow Lite model without TFLite_Detection_PostProcess")


def _holds(file: str, names: tuple[bytes, ...]) -> bool:
    if not os.path.getsize(file):
        return False
    with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(content.find(name) >= 0 for name in names)
