"""The conformance tests that every boxwright plugin must pass.

A plugin's test file inherits the class for its kind and names itself::

    from boxwright_testing import ReaderTests, WriterTests


    class TestLabelImg(ReaderTests, WriterTests):
        format = "labelimg"

Each test says in its docstring what it checks, and in its failure what was found and what to do. What a plugin does
differently on purpose is set by a class attribute, which the class's docstring lists.

====================== =============================================================================================
Class                  Tests
====================== =============================================================================================
`FormatTests`          what a format says of itself; part of the two below
`ReaderTests`          order, streaming, bad input, ``on_error``, safe paths, other processes, other file systems
`RoundTripTests`       part of `WriterTests`: only the content, for formats that share a writer
`WriterTests`          round trips, splits, declared losses, streaming, complete output or none, safe names
`TransformTests`       a step of ``boxwright convert --with``
`MetricTests`          a measure of detections
`BackendTests`         training, resuming, predicting
`AugmenterTests`       a random change inside ``tf.data``
`TrainerTests`         where and how a training runs
`ExporterTests`        a deployable form of a model
`NetworkExporterTests` the same for a subclass of ``NetworkExporter``, with a network of three boxes
`LoaderTests`          a dataset handed to a framework
`LoggerTests`          what sends the events of a training somewhere
`CommandTests`         a command of the program ``boxwright``
`AnnotatorTests`       a way to edit the boxes of a dataset
`EngineTests`          what runs parts of the work elsewhere
====================== =============================================================================================
"""

from __future__ import annotations

import pkgutil

import pytest

# Must come before the modules are imported, so that their assertions show the values that differ.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from boxwright_testing.annotators import AnnotatorTests  # noqa: E402
from boxwright_testing.augmenters import AugmenterTests  # noqa: E402
from boxwright_testing.backends import BackendTests  # noqa: E402
from boxwright_testing.bad_inputs import BadInput  # noqa: E402
from boxwright_testing.commands import CommandTests  # noqa: E402
from boxwright_testing.comparison import differences  # noqa: E402
from boxwright_testing.engines import EngineTests  # noqa: E402
from boxwright_testing.exporters import ExporterTests  # noqa: E402
from boxwright_testing.formats import FormatTests  # noqa: E402
from boxwright_testing.labelimg import labelimg_xml  # noqa: E402
from boxwright_testing.loaders import Loaded, LoaderTests  # noqa: E402
from boxwright_testing.loggers import LoggerTests  # noqa: E402
from boxwright_testing.metrics import MetricTests  # noqa: E402
from boxwright_testing.networks import NetworkExporterTests  # noqa: E402
from boxwright_testing.readers import ReaderTests  # noqa: E402
from boxwright_testing.round_trips import RoundTripTests  # noqa: E402
from boxwright_testing.samples import (  # noqa: E402
    draw_image,
    drawn_samples,
    encode_image,
    make_sample,
    unlike_samples,
)
from boxwright_testing.specs import SpecTests, registry_of  # noqa: E402
from boxwright_testing.trainers import TrainerTests  # noqa: E402
from boxwright_testing.transforms import TransformTests  # noqa: E402
from boxwright_testing.writers import WriterTests  # noqa: E402

__all__ = [
    "AnnotatorTests",
    "AugmenterTests",
    "BackendTests",
    "BadInput",
    "CommandTests",
    "EngineTests",
    "ExporterTests",
    "FormatTests",
    "Loaded",
    "LoaderTests",
    "LoggerTests",
    "MetricTests",
    "NetworkExporterTests",
    "ReaderTests",
    "RoundTripTests",
    "SpecTests",
    "TrainerTests",
    "TransformTests",
    "WriterTests",
    "differences",
    "draw_image",
    "drawn_samples",
    "encode_image",
    "labelimg_xml",
    "make_sample",
    "registry_of",
    "unlike_samples",
]
