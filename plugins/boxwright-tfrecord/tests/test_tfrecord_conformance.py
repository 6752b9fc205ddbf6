from boxwright_testing import ReaderTests, WriterTests


class TestTFRecord(ReaderTests, WriterTests):
    format = "tfrecord"
