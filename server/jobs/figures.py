"""What the operator sees of the jobs: how many there are, how old the oldest due one is, and what became of them."""

from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from actors.seatmap.terms import Instant
from persistence.jobs import Depth

_SECONDS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0)


class Figures:
    """`attempts` and `seconds` are counted as they happen; depth and age are set from what the table says."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "marquee_job_tries_total", "Tries: done, failed, put_off, parked or lost.", ["topic", "outcome"],
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "marquee_job_seconds", "How long one try took.", ["topic"], buckets=_SECONDS, registry=registry
        )
        self.depth = Gauge("marquee_jobs_open", "Jobs that are not finished.", ["topic", "state"], registry=registry)
        self.age = Gauge(
            "marquee_job_oldest_due_seconds", "For how long the oldest due job has waited.", ["topic"],
            registry=registry,
        )  # fmt: skip

    def show(self, topics: Iterable[str], depths: Sequence[Depth], now: Instant) -> None:
        """What there is to do now. `topics` are shown even where there is nothing."""
        self.depth.clear()
        oldest = dict.fromkeys(topics, now)
        for depth in depths:
            self.depth.labels(depth.topic, depth.state.value).set(depth.count)
            if depth.oldest_due is not None:
                oldest[depth.topic] = min(oldest.get(depth.topic, now), depth.oldest_due)
        self.age.clear()
        for topic, since in oldest.items():
            self.age.labels(topic).set((now - since) / 1_000)
