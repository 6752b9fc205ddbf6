"""The Pascal VOC layout for boxwright: read and write."""

boxwright_api = (1, 1)
