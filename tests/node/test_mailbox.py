"""Lease events reach the work loop in order, wake it, and none that ends a grant is left out."""

import asyncio

from election.model import Granted, HolderChanged, Lapsed, LeaseEvent, NodeId
from node.mailbox import LeaseMailbox


def granted(epoch: int) -> Granted:
    return Granted(
        epoch=epoch,
        previous=None,
        previous_epoch=0,
        was_released=False,
        silent_s=None,
        drain_ms=0,
        reason="test",
    )


def changed(epoch: int) -> HolderChanged:
    return HolderChanged(holder=NodeId("jetson"), epoch=epoch)


async def test_events_come_oldest_first_and_once() -> None:
    """A grant that began and ended must not be read the other way round."""
    mailbox = LeaseMailbox(asyncio.get_running_loop())
    events: list[LeaseEvent] = [granted(1), Lapsed(epoch=1, reason="x"), granted(2)]
    for event in events:
        mailbox.publish(event)
    assert list(mailbox.take_all()) == events
    assert mailbox.take_all() == ()


async def test_an_event_from_another_thread_ends_the_wait() -> None:
    """The loop sleeps between cycles; a lease event does not wait for the next one."""
    mailbox = LeaseMailbox(asyncio.get_running_loop())
    waiting = asyncio.create_task(mailbox.wait(600))
    await asyncio.to_thread(mailbox.publish, granted(1))
    await asyncio.wait_for(waiting, 60)
    assert len(mailbox.take_all()) == 1


async def test_what_is_put_back_comes_first() -> None:
    """Events that waited for a release keep their place."""
    mailbox = LeaseMailbox(asyncio.get_running_loop())
    mailbox.publish(changed(3))
    mailbox.put_back([changed(1), changed(2)])
    assert mailbox.take_all() == (changed(1), changed(2), changed(3))


async def test_a_full_mailbox_leaves_out_what_only_informs() -> None:
    """A role that missed the end of its grant would be wrong for good."""
    mailbox = LeaseMailbox(asyncio.get_running_loop(), events_max=3)
    lapsed = Lapsed(epoch=1, reason="x")
    for event in (granted(1), lapsed, changed(1), changed(2), changed(3)):
        mailbox.publish(event)
    assert mailbox.take_all() == (granted(1), lapsed, changed(3))
