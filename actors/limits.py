"""Every limit of the actor side in one place, units in the names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    mailbox_messages_max: int = 2_000
    refusals_remembered_max: int = 1_024
    trail_records_max: int = 2_000
    snapshot_after_records: int = 1_000
    idle_seconds_before_passivation: int = 300
    passivations_at_once_max: int = 16
    restart_seconds_min: float = 0.05
    restart_seconds_max: float = 5.0
    wakes_at_once_max: int = 20
