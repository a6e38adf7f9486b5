# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many PHP workers the memory of a host carries.

The measure is the proportional set size (PSS) of the workers that run. A maximum that does not fit
is lowered, whatever the log says about reaching it: workers that are swapped out or killed answer
nobody. It is raised only where every worker would still fit had it grown to PHP's memory_limit, so
that no measurement of workers that have just been started makes room that is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import plural, size

LEAST = 2
"""Workers that a pool keeps: with one, a page that asks its own site for something never ends."""

MEMORY, CPU, KEPT = "memory", "cpu", "kept"

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
    maximum now. each: PSS of one in bytes, and how that was found. grown: bytes of one at PHP's
    memory_limit. connection: bytes of the database for the connection that each has. limit: bytes
    that systemd allows the unit. fixed: why the maximum cannot be changed; empty where it can.
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


def plan_workers(
    groups: Sequence[Workers], left: int, cpus: float, per_cpu: int, process_max: int | None = None
) -> list[Planned]:
    """What each maximum should be.

    left: bytes for all of them and their database connections. cpus: processors that may be used.
    process_max: PHP workers that php-fpm starts at most, whatever its pools may have.
    """
    counts = _lower_all(groups, left, [group.fixed != "" for group in groups])
    wanted = _lower_all(groups, left, [False for _group in groups])
    lowered = [
        want if group.fixed else count
        for group, want, count in zip(groups, wanted, counts, strict=True)
    ]
    bounds = _raise(groups, counts, left, cpus, per_cpu, process_max)
    return [
        _planned(group, low, high, bound, left, per_cpu)
        for group, low, high, bound in zip(groups, lowered, counts, bounds, strict=True)
    ]


def _lower_all(groups: Sequence[Workers], left: int, stay: Sequence[bool]) -> list[int]:
    """The maxima, lowered as far as the units' own limits and then the host's memory ask for it.
    stay: those that take what they take, so that the others get by with the rest."""
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
    return _lower(groups, counts, [group.cost for group in groups], left, stay)


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
    process_max: int | None,
) -> list[str]:
    """Raises ``counts`` in place; what bounds each of them."""
    weights = sum(group.weight for group in groups)
    bounds = []
    for position, group in enumerate(groups):
        busy = max(LEAST, int(per_cpu * Fraction(cpus) * group.weight / weights))
        others = sum(
            count * other.grown
            for other, count in zip(groups, counts, strict=True)
            if other is not group
        )
        fits = (left - others) // group.grown
        if group.limit is not None:
            mates = sum(
                count * other.grown
                for other, count in zip(groups, counts, strict=True)
                if other is not group and other.unit == group.unit
            )
            fits = min(fits, (int(group.limit * _OF_UNIT) - mates) // group.grown)
        if process_max and group.pool is not None:
            pools = zip(groups, counts, strict=True)
            taken = sum(count for other, count in pools if other.pool is not None)
            fits = min(fits, process_max - taken + counts[position])
        target = min(busy, fits)
        if not group.fixed and counts[position] < target * _TOO_FEW:
            counts[position] = target
        bounds.append(CPU if busy <= fits else MEMORY)
    return bounds


def _planned(group: Workers, low: int, high: int, bound: str, left: int, per_cpu: int) -> Planned:
    now = group.current
    takes = f"{plural(now, 'worker')} of {size(group.cost)} each may take {size(now * group.cost)}"
    if low < now:
        reason = (
            f"{takes}; what is left of the memory is {size(max(left, 0))}, of which {group.name} "
            f"can have {low}"
        )
        return Planned(group, low, now if group.fixed else low, MEMORY, _with(reason, group, low))
    if high > now:
        why = f"{per_cpu} for each processor" if bound == CPU else "more would not fit in memory"
        reason = (
            f"{takes} of {size(max(left, 0))}; {high} fit as well, even at PHP's memory_limit "
            f"({size(group.grown)} each), and {why}"
        )
        return Planned(group, high, high, bound, _with(reason, group, high))
    reason = f"{takes} of the {size(max(left, 0))} that are left for PHP"
    return Planned(group, now, now, KEPT, f"{reason}.")


def _with(reason: str, group: Workers, wanted: int) -> str:
    if not group.fixed:
        return f"{reason}."
    return f"{reason}. It stays: {group.fixed.rstrip('.')}; set {group.setting} to {wanted}."
