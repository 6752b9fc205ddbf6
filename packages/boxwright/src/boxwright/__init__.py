"""boxwright: annotated photos in, a working object detector out; every step is a plugin.

::

    import boxwright

    data = boxwright.open("labelimg:photos/train")
    boxwright.convert(data, "tfrecord:train.record")
    run = boxwright.train("tfrecord:train.record", val="labelimg:photos/test", out="runs/first")
    print(boxwright.evaluate(run, "labelimg:photos/test").values)
    boxwright.predict(run, "photos/new", out="found")

Names are imported when they are first used, so that ``import boxwright`` costs next to nothing.
"""

import lazy_loader as _lazy

from boxwright._version import __version__ as __version__

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
