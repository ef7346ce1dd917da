"""The memory of commands: finds what it was told, forgets the oldest first, and says since when it is complete."""

from actors.seatmap.commands import ActorKind, Cause
from actors.seatmap.events import Record, SalesOpened
from actors.seatmap.memory import COMMANDS_MAX, Memory


def record(version: int, command: str) -> Record:
    return Record(version, 0, Cause(command, ActorKind.CUSTOMER, "ana", retryable=True), SalesOpened())


def test_all_records_of_a_command_are_recalled_in_order():
    memory = Memory.empty(since=1).remember(record(2, "a")).remember(record(3, "b")).remember(record(4, "a"))
    assert [r.version for r in memory.recall("a") or ()] == [2, 4]
    assert memory.recall("c") is None
    assert memory.since == 1


def test_remembering_changes_no_older_memory():
    before = Memory.empty(since=1).remember(record(2, "a"))
    before.remember(record(3, "b"))
    assert before.recall("b") is None


def test_it_is_bounded_and_knows_since_when_it_is_complete():
    memory = Memory.empty(since=1)
    count = COMMANDS_MAX + 5_000
    for version in range(2, count):
        memory = memory.remember(record(version, f"command-{version}"))
    assert sum(map(len, memory.pages)) <= COMMANDS_MAX + 64
    assert len(memory.pages) < 20
    assert memory.since > 1
    for version in range(memory.since + 1, count):
        assert memory.recall(f"command-{version}") is not None
