"""The buffers that a ceiling copies: as large as they may be, and no larger than the memory that is there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.worker.ceilings import BASE_BYTES, COPY_BYTES, buffers


@given(st.sampled_from(COPY_BYTES), st.integers(0, 2**40))
def test_buffers_fit_three_times_into_the_memory_that_is_free(largest, free):
    sizes = buffers(largest, free)
    assert sizes == sorted(sizes)
    assert sizes[0] == COPY_BYTES[0]
    assert all(size <= largest and 3 * size + BASE_BYTES <= free for size in sizes[1:])


def test_where_there_is_room_all_of_them_are_copied():
    assert buffers(COPY_BYTES[-1], 2**40) == list(COPY_BYTES)
    assert max(buffers(COPY_BYTES[-1], int(1.6e9 * 0.8))) < COPY_BYTES[-1]
