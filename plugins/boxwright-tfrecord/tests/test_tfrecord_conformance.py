from boxwright_testing import ReaderTests, WriterTests


class TestTFRecord(ReaderTests, WriterTests):
    format = "tfrecord"
    tolerance = 64 * 2**-24  # half of float32's spacing at the far edge of the pictures, 64 pixels


class TestShards(WriterTests):
    format = "tfrecord"
    file_name = "dataset.record@3"
    tolerance = 64 * 2**-24


class TestGzip(ReaderTests, WriterTests):
    format = "tfrecord"
    file_name = "dataset.record.gz"
    tolerance = 64 * 2**-24
