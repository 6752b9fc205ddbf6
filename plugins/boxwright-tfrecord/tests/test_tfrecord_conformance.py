from boxwright_testing import ReaderTests, WriterTests

EXAMPLES = {"box.area": 425.5, "box.is_depiction": 1, "box.weight": 0.5}


class TestTFRecord(ReaderTests, WriterTests):
    format = "tfrecord"
    tolerance = 64 * 2**-24  # half of float32's spacing at the far edge of the pictures, 64 pixels
    attribute_examples = EXAMPLES


class TestShards(WriterTests):
    format = "tfrecord"
    file_name = "dataset.record@3"
    tolerance = 64 * 2**-24
    attribute_examples = EXAMPLES


class TestGzip(ReaderTests, WriterTests):
    format = "tfrecord"
    file_name = "dataset.record.gz"
    tolerance = 64 * 2**-24
    attribute_examples = EXAMPLES
