"""COCO's instances and detections JSON for boxwright: read and write."""

boxwright_api = (1, 1)
