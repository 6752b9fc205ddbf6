# pytest collects the classes from here.
from typing import ClassVar

import pytest

from boxwright_testing import TransformTests
from boxwright_transforms.conformance import *  # noqa: F403

pytest.importorskip("boxwright_kerascv", reason="its augmenters are used here")


class TestAugmentChoice(TransformTests):
    transform: ClassVar[str] = "augment:flip(probability=1)+choice(color|blur),copies=2"
    keeps_images: ClassVar[bool] = False
    keeps_names: ClassVar[bool] = False
    bad_steps: ClassVar[tuple[str, ...]] = (
        "augment",
        "augment:copies=2",
        "augment:flip+",
        "augment:flip(probability=2)",
        "augment:flip(wide=1)",
        "augment:choice(flip|)",
        "augment:choice(0*flip)",
        "augment:flip,copies=0",
        "augment:flip,quality=0",
    )
