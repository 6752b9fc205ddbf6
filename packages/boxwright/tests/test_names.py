from __future__ import annotations

import sys
import tracemalloc

from hypothesis import given, strategies as st

from boxwright.datasets import Names


@given(st.lists(st.text(max_size=3)))
def test_it_contains_what_a_set_contains(texts: list[str]) -> None:
    names, expected = Names(), set[str]()
    for text in texts:
        assert (text in names) == (text in expected)
        assert names.add(text) == (text not in expected)
        expected.add(text)
        assert len(names) == len(expected)


def test_names_take_32_bytes_each_whatever_their_length() -> None:
    names = Names()
    tracemalloc.start()
    for number in range(20_000):
        assert names.add(f"folder/of/images/with/a/long/name/{number:060d}.jpg")
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 32 * 20_000 + 2_000
    assert sys.getsizeof("folder/of/images/with/a/long/name/") > 32
    assert not any(names.add(f"folder/of/images/with/a/long/name/{number:060d}.jpg") for number in range(20_000))
