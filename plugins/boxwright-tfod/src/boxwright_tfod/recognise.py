"""Recognizes files and folders of the API's detectors, without TensorFlow."""

from __future__ import annotations

import mmap
import os

from boxwright.plugins import Detection

POSTPROCESS = b"TFLite_Detection_PostProcess"
"""The custom operation that ends an SSD for TensorFlow Lite."""

_TFLITE = b"TFL3"  # the file identifier of tensorflow/lite/schema/schema.fbs
_GRAPH_NAMES = (b"image_tensor", b"detection_boxes", b"detection_classes")


def saved_model(path: str) -> Detection:
    """Matches a folder with a ``saved_model.pb`` that contains the names of the API's outputs."""
    file = os.path.join(path, "saved_model.pb")
    if not os.path.isfile(file):
        return Detection(False, "it is not a folder with a saved_model.pb")
    if _contains(file, (b"detection_boxes", b"detection_classes")):
        return Detection(True, "its saved_model.pb contains detection_boxes and detection_classes")
    return Detection(False, "its saved_model.pb does not contain detection_boxes")


def frozen_graph(path: str) -> Detection:
    """Matches a ``.pb`` file that contains the names of a detector's tensors."""
    if not os.path.isfile(path) or not path.lower().endswith(".pb"):
        return Detection(False, "it is not a .pb file")
    if os.path.basename(path) == "saved_model.pb":
        return Detection(False, "it belongs to a SavedModel: pass its folder")
    if _contains(path, _GRAPH_NAMES):
        return Detection(True, "it contains image_tensor and detection_boxes")
    return Detection(False, "it does not contain image_tensor and detection_boxes")


def tflite(path: str) -> Detection:
    """Matches a TensorFlow Lite model that ends in the operation for SSD."""
    if not os.path.isfile(path):
        return Detection(False, "it is not a .tflite file")
    with open(path, "rb") as file:
        if file.read(8)[4:] != _TFLITE:
            return Detection(False, "it does not begin like a .tflite file")
    if _contains(path, (POSTPROCESS,)):
        return Detection(True, "it is a TensorFlow Lite model with TFLite_Detection_PostProcess")
    return Detection(False, "it is a TensorFlow Lite model without TFLite_Detection_PostProcess")


def _contains(file: str, names: tuple[bytes, ...]) -> bool:
    if not os.path.getsize(file):
        return False
    with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(content.find(name) >= 0 for name in names)
