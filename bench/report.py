"""What a run found: figures, and goals that are ratios or limits, as a table for people and JSON for programs."""

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.client import Tally
from bench.gauges import Usage

RESULTS: Final = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing; `extra` holds what goes with it, like percentiles and processor time per operation."""

    scenario: str
    name: str
    value: float
    unit: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Goal:
    name: str
    value: float
    limit: float
    at_least: bool

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class Report:
    def __init__(self) -> None:
        self.figures: list[Figure] = []
        self.goals: list[Goal] = []
        self.calibrations: list[dict[str, float]] = []

    def add(self, scenario: str, name: str, value: float, unit: str, **extra: Any) -> None:
        figure = Figure(scenario, name, value, unit, extra)
        self.figures.append(figure)
        print("   ", _figure_line(figure), flush=True)

    def at_least(self, name: str, value: float, limit: float) -> None:
        self._judge(Goal(name, value, limit, at_least=True))

    def at_most(self, name: str, value: float, limit: float) -> None:
        self._judge(Goal(name, value, limit, at_least=False))

    @property
    def met(self) -> bool:
        return all(goal.met for goal in self.goals)

    def table(self) -> str:
        lines = [f"{figure.scenario:<10} {_figure_line(figure)}" for figure in self.figures]
        return "\n".join([*lines, "", *(_goal_line(goal) for goal in self.goals)])

    def write(self, path: Path = RESULTS) -> None:
        document = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "met": self.met,
            "calibrations": self.calibrations,
            "figures": [asdict(figure) for figure in self.figures],
            "goals": [asdict(goal) | {"met": goal.met} for goal in self.goals],
        }
        path.write_text(json.dumps(document, indent=1) + "\n")

    def _judge(self, goal: Goal) -> None:
        self.goals.append(goal)
        print("   ", _goal_line(goal), flush=True)


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one contender: what the client saw and what the servers used meanwhile."""

    tally: Tally
    before: Usage
    after: Usage

    @property
    def server_us(self) -> float:
        return self._each(self.after.server - self.before.server)

    @property
    def postgres_us(self) -> float:
        return self._each(self.after.postgres - self.before.postgres)

    def _each(self, seconds: float) -> float:
        return seconds / max(1, self.tally.answered) * 1e6

    def facts(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "p50_ms": round(tally.percentile(0.5), 2),
            "p99_ms": round(tally.percentile(0.99), 2),
            "p99_9_ms": round(tally.percentile(0.999), 2),
            "server_us": round(self.server_us, 1),
            "postgres_us": round(self.postgres_us, 1),
            "client_us": round(tally.client_cpu / max(1, tally.answered) * 1e6, 1),
            "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        }


def middle(rounds: Iterable[Round]) -> Round:
    """The round with the median rate."""
    ordered = sorted(rounds, key=lambda one: one.tally.rate)
    return ordered[(len(ordered) - 1) // 2]


def best(kinds: Iterable[Sequence[Round]]) -> Sequence[Round]:
    """The kind of rounds with the highest rate."""
    return max(kinds, key=lambda rounds: middle(rounds).tally.rate)


def ratio(ours: Iterable[Round], theirs: Iterable[Round]) -> float:
    """The median, over rounds, of our rate by the rate of the other's same round: neighbours disturb both alike."""
    return median(mine.tally.rate / max(1e-9, other.tally.rate) for mine, other in zip(ours, theirs, strict=True))


def _figure_line(figure: Figure) -> str:
    extra = figure.extra
    told = [
        f"{name[:-3].replace('_', '.')} {extra[name]:.2f} ms"
        for name in ("p50_ms", "p99_ms", "p99_9_ms")
        if name in extra
    ]
    if "server_us" in extra:
        told.append(
            "cpu µs each: " + " + ".join(f"{extra[f'{who}_us']:.0f} {who}" for who in ("server", "postgres", "client"))
        )
    told += [f"{name} {value}" for name, value in extra.items() if not name.endswith(("_ms", "_us", "statuses"))]
    return f"{figure.name:<46} {figure.value:>12,.1f} {figure.unit:<8} {'  '.join(told)}".rstrip()


def _goal_line(goal: Goal) -> str:
    verdict, sign = "pass" if goal.met else "FAIL", "≥" if goal.at_least else "≤"
    return f"{verdict}  {goal.name:<62} {goal.value:>10,.2f}  {sign} {goal.limit:g}"
