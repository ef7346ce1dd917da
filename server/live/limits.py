"""Every bound of the live edge, in one place, with its unit in its name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`tick_*`: a showtime's watchers get at most one frame per tick, wider when telling all of them takes longer.

    `fan_out_share` is the part of the loop's time that may go into that; `delivery_us` what one delivery is believed to
    take, until it was measured.
    """

    frame_bytes_max: int = 16 * 1024
    messages_per_second: int = 20
    messages_burst: int = 40
    sockets_per_address_max: int = 200
    backlog_bytes_max: int = 32 * 1024
    unread_bytes_max: int = 256 * 1024
    kernel_backlog_bytes: int = 32 * 1024
    stale_ms_max: int = 15_000
    stale_look_ms: int = 100
    farewell_look_ms: int = 1_000
    farewell_ms_max: int = 30_000
    heartbeat_ms: int = 15_000
    sweep_ms: int = 1_000
    tick_ms_min: int = 40
    tick_ms_max: int = 100
    fan_out_share: float = 0.4
    delivery_us: float = 7.0
    slice_sockets: int = 100
    lobby_tick_ms: int = 1_000
    stranger_ms_max: int = 10_000
    expiry_warning_ms: int = 60_000
