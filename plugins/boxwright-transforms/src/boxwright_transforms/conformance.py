"""The conformance tests of the transforms; imported by ``boxwright plugins check transforms`` only."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest

from boxwright import Sample
from boxwright_testing import TransformTests


class TestResize(TransformTests):
    """``resize:64x48``."""

    transform: ClassVar[str] = "resize:64x48"
    bad_steps: ClassVar[tuple[str, ...]] = (
        "resize",
        "resize:",
        "resize:0x48",
        "resize:wide",
        "resize:64",
        "resize:64x48,fit=squeeze",
        "resize:64x48,quality=0",
        "resize:999999x999999",
        "resize:64x48,size=3x3",
    )


class TestResizeInside(TransformTests):
    """``resize:40x40,fit=inside,only_larger=true``."""

    transform: ClassVar[str] = "resize:40x40,fit=inside,only_larger=true"


class TestResizePad(TransformTests):
    """``resize:40x30,fit=pad,quality=80``."""

    transform: ClassVar[str] = "resize:40x30,fit=pad,quality=80"


class TestSplit(TransformTests):
    """``split:train=0.7,test=0.3``."""

    transform: ClassVar[str] = "split:train=0.7,test=0.3"
    bad_steps: ClassVar[tuple[str, ...]] = (
        "split",
        "split:0.8",
        "split:train=0.8",
        "split:train=0.8,test=0.3",
        "split:train=1.5,test=-0.5",
        "split:train=much,test=0.2",
        "split:train=nan,test=0.2",
        "split:a/b=0.5,c=0.5",
        "split:..=0.5,c=0.5",
        "split:train=1,test=0",
        "split:train=0.8,test=0.2,seed=x",
        "split:train=0.8,test=0.2,group=(",
        "split:train=0.8,test=0.2,order=time",
        "split:train=0.8,test=0.2,order=image.",
    )


class TestSplitNearDuplicates(TransformTests):
    """``split:train=0.6,test=0.4,near_duplicates=true,seed=5``."""

    transform: ClassVar[str] = "split:train=0.6,test=0.4,near_duplicates=true,seed=5"


class TestSplitByGroup(TransformTests):
    r"""``split:train=0.6,test=0.4,group=(.)\.[a-z]+$``."""

    transform: ClassVar[str] = r"split:train=0.6,test=0.4,group=(.)\.[a-z]+$"


class TestSplitInOrder(TransformTests):
    """``split:train=0.6,test=0.4,order=name``."""

    transform: ClassVar[str] = "split:train=0.6,test=0.4,order=name"


class TestKFold(TransformTests):
    """``kfold:3,fold=1,seed=3``."""

    transform: ClassVar[str] = "kfold:3,fold=1,seed=3"
    bad_steps: ClassVar[tuple[str, ...]] = (
        "kfold",
        "kfold:1",
        "kfold:many",
        "kfold:-3",
        "kfold:5,fold=5",
        "kfold:5,fold=-1",
        "kfold:5,group=[",
        "kfold:5,4",
    )


class TestAllFolds(TransformTests):
    """``kfold:3,near_duplicates=true``."""

    transform: ClassVar[str] = "kfold:3,near_duplicates=true"


class TestFix(TransformTests):
    """``fix``."""

    transform: ClassVar[str] = "fix"
    bad_steps: ClassVar[tuple[str, ...]] = (
        "fix:clip=maybe",
        "fix:tiny=-1",
        "fix:tiny=nan",
        "fix:flat=repair",
        "fix:duplicates=merge",
        "fix:size=guess",
        "fix:everything",
        "fix:clip=false,flat=keep,duplicates=keep",
    )


class TestFixSizes(TransformTests):
    """``fix:size=picture,tiny=0.5``."""

    transform: ClassVar[str] = "fix:size=picture,tiny=0.5"


class TestFixScales(TransformTests):
    """``fix:size=scale``."""

    transform: ClassVar[str] = "fix:size=scale"


class TestUpright(TransformTests):
    """``upright:quality=80``."""

    transform: ClassVar[str] = "upright:quality=80"
    bad_steps: ClassVar[tuple[str, ...]] = ("upright:quality=0", "upright:quality=100", "upright:5")


class TestFilter(TransformTests):
    """``filter:classes=apple+red?*,side=10..,difficult=0``."""

    transform: ClassVar[str] = "filter:classes=apple+red?*,side=10..,difficult=0"
    keeps_boxes: ClassVar[bool] = False
    bad_steps: ClassVar[tuple[str, ...]] = (
        "filter",
        "filter:apple",
        "filter:clases=apple",
        "filter:classes=",
        "filter:classes=apple+",
        "filter:side=wide",
        "filter:side=20..8",
        "filter:side=..",
        "filter:side=nan",
        "filter:boxes=-",
        "filter:box.=1",
        "filter:score=1..0",
        "filter:emptied=burn",
    )


class TestFilterPictures(TransformTests):
    """``filter:pictures_with=apple,picture_width=40..,not_names=cam?/*``."""

    transform: ClassVar[str] = "filter:pictures_with=apple,picture_width=40..,not_names=cam?/*"
    keeps_images: ClassVar[bool] = False


class TestRemap(TransformTests):
    """``remap:apple=fruit,вишня=``."""

    transform: ClassVar[str] = "remap:apple=fruit,вишня="
    keeps_boxes: ClassVar[bool] = False
    bad_steps: ClassVar[tuple[str, ...]] = (
        "remap",
        "remap:apple",
        "remap:=fruit",
        "remap:others=drop",
        "remap:apple=,others=drop",
        "remap:others=burn,apple=fruit",
        "remap:into=fruit,others=drop",
    )


class TestSample(TransformTests):
    """``sample:50%,seed=3``."""

    transform: ClassVar[str] = "sample:50%,seed=3"
    keeps_images: ClassVar[bool] = False
    bad_steps: ClassVar[tuple[str, ...]] = (
        "sample",
        "sample:",
        "sample:0",
        "sample:-5",
        "sample:0.0",
        "sample:1.5",
        "sample:0%",
        "sample:200%",
        "sample:many",
        "sample:1e3",
        "sample:5,classes=even",
        "sample:5,6",
    )


class TestSampleStratified(TransformTests):
    """``sample:5,classes=stratified``."""

    transform: ClassVar[str] = "sample:5,classes=stratified"
    keeps_images: ClassVar[bool] = False


class TestSampleBalanced(TransformTests):
    """``sample:5,classes=balanced``."""

    transform: ClassVar[str] = "sample:5,classes=balanced"
    keeps_images: ClassVar[bool] = False


class TestTile(TransformTests):
    """``tile:32x24``."""

    transform: ClassVar[str] = "tile:32x24"
    keeps_images: ClassVar[bool] = False
    keeps_names: ClassVar[bool] = False
    bad_steps: ClassVar[tuple[str, ...]] = (
        "tile",
        "tile:0",
        "tile:wide",
        "tile:640x",
        "tile:640,overlap=640",
        "tile:640x320,overlap=320",
        "tile:640,overlap=-0.1",
        "tile:640,overlap=0.9999",
        "tile:640,visible=1.5",
        "tile:640,visible=-1",
        "tile:640,empty=burn",
        "tile:640,quality=100",
        "tile:999999x999999",
    )


class TestTileWithoutEmpty(TransformTests):
    """``tile:20,overlap=5,visible=0,empty=drop,quality=50``."""

    transform: ClassVar[str] = "tile:20,overlap=5,visible=0,empty=drop,quality=50"
    keeps_images: ClassVar[bool] = False
    keeps_names: ClassVar[bool] = False


class TestDedupe(TransformTests):
    """``dedupe``."""

    transform: ClassVar[str] = "dedupe"
    bad_steps: ClassVar[tuple[str, ...]] = (
        "dedupe:fuzzy",
        "dedupe:near,bits=9",
        "dedupe:near,bits=-1",
        "dedupe:keep=last",
        "dedupe:scope=world",
        "dedupe:unreadable=skip",
    )


class TestDedupeNear(TransformTests):
    """``dedupe:near,keep=most_boxes,scope=split,bits=2``."""

    transform: ClassVar[str] = "dedupe:near,keep=most_boxes,scope=split,bits=2"
    keeps_images: ClassVar[bool] = False

    def samples(self, folder: Path) -> list[Sample]:
        """Each image and a copy with another name."""
        samples = super().samples(folder)
        copies = [sample.image.model_copy(update={"name": f"copy/{sample.image.name}"}) for sample in samples]
        return samples + [sample.replace(image=image) for sample, image in zip(samples, copies, strict=True)]


class TestDedupeUnreadable(TransformTests):
    """``dedupe:near,unreadable=keep``."""

    transform: ClassVar[str] = "dedupe:near,unreadable=keep"
    keeps_images: ClassVar[bool] = False


@pytest.mark.skipif(find_spec("boxwright_kerascv") is None, reason="needs an augmenter: install boxwright-kerascv")
class TestAugment(TransformTests):
    """``augment:flip``."""

    transform: ClassVar[str] = "augment:flip"
    bad_steps: ClassVar[tuple[str, ...]] = ("augment", "augment:", "augment:flip,copies=0")
    keeps_images: ClassVar[bool] = False
    keeps_names: ClassVar[bool] = False
