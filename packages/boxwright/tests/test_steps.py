"""Steps of a conversion as a user writes them, and the threads that run them."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from boxwright import Dataset, Option, PluginNotFoundError, Sample, TransformSpec, UsageError
from boxwright.datasets import map_samples
from boxwright.datasets.problems import Problems
from boxwright.datasets.steps import make_transform, split_outside_brackets
from boxwright.plugins.registry import Registry


@pytest.fixture
def steps(make_registry: Callable[..., Registry], toys: types.ModuleType) -> Registry:
    toys.keep = lambda **options: types.SimpleNamespace(per_sample=True, options=options)  # type: ignore[attr-defined]
    return make_registry(
        TransformSpec(
            name="resize", load="toys:keep", positional="size", options=(Option("size"), Option("quality", int))
        ),
        TransformSpec(name="split", load="toys:keep", positional="parts", keyed=True, options=(Option("seed", int),)),
    )


@pytest.mark.parametrize(
    ("step", "options"),
    [
        ("resize:800x600", {"size": "800x600"}),
        ("resize:size=800x600", {"size": "800x600"}),
        ("resize: 800x600 , quality = 90 ", {"size": "800x600", "quality": 90}),
        ("resize", {}),
        ("resize:", {}),
        ("split:train=0.8,seed=3,test=0.2", {"seed": 3, "parts": {"train": "0.8", "test": "0.2"}}),
        ("split", {}),
    ],
)
def test_options_of_a_step(step: str, options: dict[str, Any], steps: Registry) -> None:
    made: Any = make_transform(step, steps)
    assert made.options == options


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("resize:800x600,400x300", "'400x300' has no name"),
        ("resize:quality=1,quality=2", "duplicate option 'quality'"),
        ("resize:800x600,size=1x1", "duplicate option 'size'"),
        ("resize:qualty=1", r"has no option 'qualty'\n  -> did you mean 'quality'"),
        ("resize:quality=best", "is not a whole number"),
        ("split:train=0.8,train=0.2", "duplicate option 'train'"),
        ("split:seed=1,seed=2", "duplicate option 'seed'"),
        ("only-annotated:fast", "'fast' has no name"),
        ("resise:1x1", "did you mean 'resize'"),
    ],
)
def test_steps_that_are_refused(step: str, message: str, steps: Registry) -> None:
    with pytest.raises((UsageError, PluginNotFoundError), match=message) as caught:
        make_transform(step, steps)
    assert caught.value.exit_code == 2


def test_a_transform_object_is_used_unchanged(steps: Registry) -> None:
    ready: Any = types.SimpleNamespace(per_sample=True)
    assert make_transform(ready, steps) is ready


def test_a_transform_of_the_whole_stream_may_read_it_twice(
    dataset: Callable[..., Dataset], sample: Callable[..., Sample]
) -> None:
    class Counting:
        per_sample = False

        def __call__(self, samples: Any) -> Iterator[Sample]:
            count = sum(1 for _ in samples)
            return (each.replace(split=f"of {count}") for each in samples)

    data = dataset(sample("a.jpg"), sample("b.jpg")).through(Counting())
    assert [each.split for each in data] == ["of 2", "of 2"]
    assert [each.split for each in data.through(Counting())] == ["of 2", "of 2"]


def test_threads_read_only_a_little_ahead(sample: Callable[..., Sample]) -> None:
    read = []

    def samples() -> Iterator[Sample]:
        for number in range(1000):
            read.append(number)
            yield sample(f"{number}.jpg")

    results = map_samples(lambda each: each.image.name, samples(), Problems(), workers=3)
    assert [next(results) for _ in range(5)] == [f"{number}.jpg" for number in range(5)]
    results.close()  # type: ignore[attr-defined]
    assert len(read) <= 5 + 4 * 3


@pytest.mark.parametrize("workers", [1, 4])
def test_an_exception_in_a_thread_is_raised_at_its_position(workers: int, sample: Callable[..., Sample]) -> None:
    def work(each: Sample) -> str:
        if each.image.name == "7.jpg":
            raise KeyError("a bug")
        return each.image.name

    results = map_samples(work, (sample(f"{n}.jpg") for n in range(100)), Problems("skip"), workers)
    assert [next(results) for _ in range(7)] == [f"{n}.jpg" for n in range(7)]
    with pytest.raises(KeyError, match="a bug"):
        next(results)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b", ["a", "b"]),
        (r"group=^(cam\d{1,3})_,seed=3", [r"group=^(cam\d{1,3})_", "seed=3"]),
        ("classes=[a,(b,c)],d", ["classes=[a,(b,c)]", "d"]),
        ("name='red, ripe',d", ["name='red, ripe'", "d"]),
        ('say="(",d', ['say="("', "d"]),
        ("open=(,d", ["open=(", "d"]),
        ("it's,d", ["it's", "d"]),
        ("", [""]),
    ],
)
def test_commas_in_brackets_and_quotes_separate_nothing(text: str, parts: list[str]) -> None:
    assert split_outside_brackets(text, ",") == parts
