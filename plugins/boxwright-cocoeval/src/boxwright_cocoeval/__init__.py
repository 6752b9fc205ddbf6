"""COCO detection metrics for boxwright."""

boxwright_api = (1, 1)
