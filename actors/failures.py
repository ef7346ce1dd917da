"""How the world fails, as exceptions. The edge answers 503 with `Retry-After`, except to `UnknownShowtime` (404)."""


class WorldFailure(Exception):
    """Something outside failed; the same command may be sent again."""


class JournalDown(WorldFailure):
    """The log cannot be reached, or nobody knows whether an append arrived."""


class Deposed(WorldFailure):
    """Another owner has taken the showtime over: this one must stop."""


class Overloaded(WorldFailure):
    """A bounded queue is full."""


class Draining(WorldFailure):
    """The process is stopping and takes no new work."""


class Rejected(WorldFailure):
    """The log refused exactly this append for its content; nothing else was touched."""


class UnknownShowtime(Exception):
    """No showtime with that id."""
