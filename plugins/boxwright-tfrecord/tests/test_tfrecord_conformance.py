"""The conformance suite over the format as one file, in shards and compressed."""

from __future__ import annotations

from boxwright_tfrecord import conformance


class TestTFRecord(conformance.TestTFRecord):
    pass


class TestShards(conformance.TestShards):
    pass


class TestGzip(conformance.TestGzip):
    pass
