from boxwright_testing import MetricTests


class TestCoco(MetricTests):
    metric = "coco"
