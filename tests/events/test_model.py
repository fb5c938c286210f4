"""Batches hold each queue once and in order; what was deferred goes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from queuetick.events import Batch, Queue, chunk, deferred_first, halves

queues = st.lists(st.integers(0, 300), max_size=300, unique=True).map(
    lambda ids: [Queue(str(number)) for number in ids]
)


@given(queues=queues, size=st.integers(1, 200))
def test_batches_are_the_queues_in_order_none_larger_than_asked_and_only_the_last_smaller(
    queues, size
) -> None:
    batches = chunk(queues, size)
    assert queues == [queue for batch in batches for queue in batch.queues]
    assert [size] * (len(batches) - 1) == [len(batch.queues) for batch in batches[:-1]]
    assert all(1 <= len(batch.queues) <= size for batch in batches)
    assert list(range(1, len(batches) + 1)) == [batch.number for batch in batches]


@given(queues=queues.filter(lambda queues: len(queues) > 1), number=st.integers(1, 9))
def test_halves_are_both_smaller_together_the_whole_and_keep_its_number(queues, number) -> None:
    first, second = halves(Batch(number, tuple(queues)))
    assert tuple(queues) == first.queues + second.queues
    assert len(second.queues) - len(first.queues) in (0, 1)
    assert first.queues
    assert (number, number) == (first.number, second.number)


@given(queues=queues, deferred=st.sets(st.integers(0, 400).map(str)))
def test_deferred_queues_come_first_and_the_order_stays_among_both(queues, deferred) -> None:
    lost = [queue for queue in queues if queue.id in deferred]
    others = [queue for queue in queues if queue.id not in deferred]
    assert lost + others == deferred_first(iter(queues), iter(deferred))


def test_a_batch_knows_its_ids() -> None:
    assert ["a", "b"] == Batch(1, (Queue("a"), Queue("b", "name"))).queue_ids
