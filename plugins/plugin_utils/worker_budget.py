# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many PHP workers the memory of a host carries.

The measure is what a worker that runs has for itself; what all of them share is taken off before.
A maximum that does not fit is lowered, whatever the log says about reaching it: workers that are
swapped out or killed answer nobody. It is raised only where every worker would still fit had it
grown to PHP's memory_limit, so that the small size of workers that have just been started makes no
room that is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import plural, size

LEAST = 2
"""Workers that a pool keeps: with one, a page that asks its own site for something never ends."""

MEMORY, CPU, KEPT, QUEUE = "memory", "cpu", "kept", "queue"

# What a measurement may be off without a number being changed again: the PSS of the same workers
# differs by a few percent from one minute to the next.
_TOO_MANY = Fraction(11, 10)
_TOO_FEW = Fraction(3, 4)
# Of a unit's own memory limit the workers get this, since its files in the cache count as well.
_OF_UNIT = Fraction(9, 10)


@dataclass(frozen=True)
class Workers:
    """Workers of PHP with one maximum.

    service, unit, pool, setting: where that is set; pool is None for httpd itself. current: the
    maximum now. each: bytes that one more takes, and how that was found. grown: bytes of one at
    PHP's memory_limit. connection: bytes of the database for the connection that each has. limit:
    bytes that systemd allows the unit. processes: workers that php-fpm starts at most, whatever its
    pools may have; 0 for any number. fixed: why the maximum cannot be changed; empty where it can.
    """

    service: str
    unit: str | None
    pool: str | None
    setting: str
    current: int
    each: int
    how: str
    grown: int
    connection: int
    weight: Fraction
    limit: int | None = None
    processes: int = 0
    fixed: str = ""

    @property
    def cost(self) -> int:
        """What one more takes from the host, in bytes."""
        return self.each + self.connection

    @property
    def name(self) -> str:
        """In a sentence."""
        return f"pool {self.pool}" if self.pool is not None else self.service


@dataclass(frozen=True)
class Planned:
    """What becomes of a maximum. wanted: what it should be; after: what it will be, which differs
    where it cannot be changed. limit: MEMORY, CPU or KEPT."""

    workers: Workers
    wanted: int
    after: int
    limit: str
    reason: str


def share(
    total: int, floors: Sequence[int], needs: Sequence[int], weights: Sequence[Fraction]
) -> list[Fraction]:
    """``total`` divided by weight, where nobody gets less than his floor or more than he needs.

    What one does not need goes to the others. Where the floors alone are more than the total, they
    are what everybody gets.
    """
    got: dict[int, Fraction] = {}
    while len(got) < len(needs):
        rest = total - sum(got.values())
        left = [one for one in range(len(needs)) if one not in got]
        unit = max(rest, Fraction(0)) / sum(weights[one] for one in left)
        part = {one: unit * weights[one] for one in left}
        fitted = {one: min(max(part[one], Fraction(floors[one])), needs[one]) for one in left}
        over = sum(fitted.values()) - rest
        # Those on the side that outweighs the other cannot come off their bound any more.
        bound = [
            one
            for one in left
            if over == 0 or (fitted[one] > part[one] if over > 0 else fitted[one] < part[one])
        ]
        got |= {one: Fraction(fitted[one]) for one in bound or left}
    return [got[one] for one in range(len(needs))]


def plan_workers(groups: Sequence[Workers], left: int, cpus: float, per_cpu: int) -> list[Planned]:
    """What each maximum should be.

    left: bytes for all of them and their database connections. cpus: processors that may be used.
    per_cpu: workers that one of them keeps busy.
    """
    costs = [group.cost for group in groups]
    free = [False] * len(groups)
    fixed = [group.fixed != "" for group in groups]
    in_units = _lower_in_units(groups, free)
    wanted = _lower(groups, in_units, costs, left, free)
    # What cannot be changed takes what it takes, and the others get by with the rest.
    counts = _lower(groups, _lower_in_units(groups, fixed), costs, left, fixed)
    lowered = [
        want if group.fixed else count
        for group, want, count in zip(groups, wanted, counts, strict=True)
    ]
    bounds = _raise(groups, counts, left, cpus, per_cpu)
    return [
        _lowered(group, lowered[at], left, lowered[at] == in_units[at], len(groups) == 1)
        if lowered[at] < group.current
        else _raised(group, counts[at], bounds[at], cpus, per_cpu)
        if counts[at] > group.current
        else _kept(group, left)
        for at, group in enumerate(groups)
    ]


def _lower_in_units(groups: Sequence[Workers], stay: Sequence[bool]) -> list[int]:
    """The maxima, lowered where they do not fit in what systemd allows their unit.
    stay: those that are not lowered."""
    counts = [group.current for group in groups]
    units = {group.unit for group in groups if group.limit is not None}
    for unit in sorted(units, key=str):
        mine = [at for at, one in enumerate(groups) if one.unit == unit and one.limit is not None]
        budget = int(min(groups[at].limit or 0 for at in mine) * _OF_UNIT)
        lowered = _lower(
            [groups[at] for at in mine],
            [counts[at] for at in mine],
            [groups[at].each for at in mine],
            budget,
            [stay[at] for at in mine],
        )
        for at, count in zip(mine, lowered, strict=True):
            counts[at] = count
    return counts


def _lower(
    groups: Sequence[Workers],
    counts: Sequence[int],
    sizes: Sequence[int],
    budget: int,
    stay: Sequence[bool],
) -> list[int]:
    needs = [count * each for count, each in zip(counts, sizes, strict=True)]
    if sum(needs) <= budget * _TOO_MANY:
        return list(counts)
    floors = [
        need if stays else min(count, LEAST) * each
        for count, need, each, stays in zip(counts, needs, sizes, stay, strict=True)
    ]
    parts = share(budget, floors, needs, [group.weight for group in groups])
    return [int(part // each) for part, each in zip(parts, sizes, strict=True)]


def _raise(
    groups: Sequence[Workers],
    counts: list[int],
    left: int,
    cpus: float,
    per_cpu: int,
) -> list[str]:
    """Raises ``counts`` in place; what bounds each of them."""
    weights = sum(group.weight for group in groups)
    bounds = []
    for position, group in enumerate(groups):
        busy = max(LEAST, int(per_cpu * Fraction(cpus) * group.weight / weights))
        others = [
            (other, count)
            for other, count in zip(groups, counts, strict=True)
            if other is not group
        ]
        mates = [(other, count) for other, count in others if other.unit == group.unit]
        fits = (left - _grown(others)) // group.grown
        if group.limit is not None:
            fits = min(fits, (int(group.limit * _OF_UNIT) - _grown(mates)) // group.grown)
        if group.processes:
            fits = min(fits, group.processes - sum(count for _other, count in mates))
        target = min(busy, fits)
        if not group.fixed and counts[position] < target * _TOO_FEW:
            counts[position] = target
        bounds.append(CPU if busy <= fits else MEMORY)
    return bounds


def _grown(counted: Sequence[tuple[Workers, int]]) -> int:
    return sum(count * group.grown for group, count in counted)


def _takes(group: Workers) -> str:
    now = group.current
    each = f" of {size(group.cost)} each" if now != 1 else f" of {size(group.cost)}"
    return f"{plural(now, 'worker')}{each} may take {size(now * group.cost)}"


def _lowered(group: Workers, to: int, left: int, in_unit: bool, alone: bool) -> Planned:
    if in_unit and group.limit is not None:
        carries = f"systemd allows {group.unit} {size(group.limit)}, which carry {to}"
    elif alone:
        carries = f"{size(left)} are left for PHP, which carry {to}"
    else:
        carries = f"{size(left)} are left for PHP, and its share of that carries {to}"
    reason = f"{_takes(group)}, but {carries}."
    if group.fixed:
        reason += f" It stays: {group.fixed.rstrip('.')}; set {group.setting} to {to} yourself."
    return Planned(group, to, group.current if group.fixed else to, MEMORY, reason)


def _raised(group: Workers, to: int, bound: str, cpus: float, per_cpu: int) -> Planned:
    suits = f"{cpus:g} processors ({per_cpu} for each)"
    why = f"{to} suit {suits} and" if bound == CPU else f"of those that {suits} could use, {to}"
    reason = (
        f"{plural(group.current, 'worker')} leave the processors idle while they wait; {why} fit "
        f"even if each grows to PHP's memory_limit ({size(group.grown)})."
    )
    return Planned(group, to, to, bound, reason)


def _kept(group: Workers, left: int) -> Planned:
    reason = f"{_takes(group)} of the {size(left)} that are left for PHP."
    return Planned(group, group.current, group.current, KEPT, reason)
