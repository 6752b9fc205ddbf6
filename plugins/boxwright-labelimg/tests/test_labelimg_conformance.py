from boxwright_testing import ReaderTests, WriterTests


class TestLabelImg(ReaderTests, WriterTests):
    format = "labelimg"
