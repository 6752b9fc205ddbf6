from boxwright_testing import ReaderTests, WriterTests


class TestCsv(ReaderTests, WriterTests):
    format = "csv"
