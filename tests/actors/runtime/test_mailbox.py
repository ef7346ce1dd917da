"""The mailbox: bounded, control first, honest when closed."""

import pytest

from actors.failures import Draining, Overloaded
from actors.runtime.mailbox import Mailbox


def test_taking_takes_all_there_is_and_control_comes_first():
    mailbox: Mailbox[str] = Mailbox(10)
    mailbox.put("a")
    mailbox.put("b")
    mailbox.put_control("tick")
    assert mailbox.take_all() == ["tick", "a", "b"]
    assert len(mailbox) == 0


def test_who_waits_for_mail_is_called_once_as_soon_as_there_is_some():
    mailbox: Mailbox[str] = Mailbox(10)
    rung: list[str] = []
    mailbox.await_mail(lambda: rung.append("first"))
    assert mailbox.rests
    mailbox.put("a")
    mailbox.put("b")
    assert rung == ["first"]
    assert not mailbox.rests
    mailbox.await_mail(lambda: rung.append("at once"))
    assert rung == ["first", "at once"]
    assert mailbox.take_all() == ["a", "b"]


def test_a_full_mailbox_refuses_messages_but_never_control():
    mailbox: Mailbox[str] = Mailbox(1)
    mailbox.put("a")
    with pytest.raises(Overloaded):
        mailbox.put("b")
    mailbox.put_control("stop")
    assert mailbox.take_all() == ["stop", "a"]


def test_a_closed_mailbox_hands_back_what_waits_and_says_why_it_is_closed():
    mailbox: Mailbox[str] = Mailbox(5)
    mailbox.put("a")
    mailbox.put_control("tick")
    assert mailbox.close(Draining("bye")) == ["tick", "a"]
    with pytest.raises(Draining):
        mailbox.put("b")
    mailbox.put_control("ignored")
    assert len(mailbox) == 0
