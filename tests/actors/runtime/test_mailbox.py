"""The mailbox: bounded, control first, honest when closed."""

import asyncio

import pytest

from actors.failures import Draining, Overloaded
from actors.runtime.mailbox import Mailbox


async def test_taking_takes_all_there_is_and_control_comes_first():
    mailbox: Mailbox[str] = Mailbox(10)
    mailbox.put("a")
    mailbox.put("b")
    mailbox.put_control("tick")
    assert await mailbox.take_all() == ["tick", "a", "b"]
    assert len(mailbox) == 0


async def test_taking_sleeps_until_somebody_writes():
    mailbox: Mailbox[str] = Mailbox(10)
    taker = asyncio.create_task(mailbox.take_all())
    while not mailbox.sleeping:
        await asyncio.sleep(0)
    mailbox.put("a")
    assert await taker == ["a"]


async def test_a_full_mailbox_refuses_messages_but_never_control():
    mailbox: Mailbox[str] = Mailbox(1)
    mailbox.put("a")
    with pytest.raises(Overloaded):
        mailbox.put("b")
    mailbox.put_control("stop")
    assert await mailbox.take_all() == ["stop", "a"]


async def test_a_closed_mailbox_hands_back_what_waits_and_says_why_it_is_closed():
    mailbox: Mailbox[str] = Mailbox(5)
    mailbox.put("a")
    mailbox.put_control("tick")
    assert mailbox.close(Draining("bye")) == ["tick", "a"]
    with pytest.raises(Draining):
        mailbox.put("b")
    mailbox.put_control("ignored")
    assert len(mailbox) == 0
