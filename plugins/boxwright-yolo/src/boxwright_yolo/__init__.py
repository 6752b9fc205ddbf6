"""YOLO label files for boxwright: Ultralytics' layout and labelImg's."""

boxwright_api = (1, 1)
