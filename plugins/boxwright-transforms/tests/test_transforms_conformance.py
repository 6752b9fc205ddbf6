from boxwright_testing import TransformTests


class TestResize(TransformTests):
    transform = "resize:64x48"
    bad_steps = (
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
    transform = "resize:40x40,fit=inside,only_larger=true"


class TestResizePad(TransformTests):
    transform = "resize:40x30,fit=pad,quality=80"


class TestSplit(TransformTests):
    transform = "split:train=0.7,test=0.3"
    bad_steps = (
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
    )


class TestSplitNearDuplicates(TransformTests):
    transform = "split:train=0.6,test=0.4,near_duplicates=true,seed=5"
