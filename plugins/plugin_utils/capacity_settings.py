# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks what the operator says about open files and workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_FILES = (1024, 1 << 20)
_PER_CPU = (1, 64)


class SettingsError(ValueError):
    """A setting that makes no sense; the text says what and what to do."""


@dataclass(frozen=True)
class Settings:
    """nofile: open files wanted for every process. workers: whether the numbers of workers are to
    be planned at all. reserve: share of the memory for the system. weights: of the pools that are
    to get another share than one. per_cpu: PHP workers that one processor keeps busy."""

    nofile: int = 16384
    workers: bool = True
    reserve: Fraction = Fraction(1, 4)
    weights: Mapping[str, Fraction] | None = None
    per_cpu: int = 8

    def weight(self, pool: str) -> Fraction:
        """A pool's weight."""
        return (self.weights or {}).get(pool, Fraction(1))


def check_settings(given: Any) -> Settings:
    """The settings, checked, with the usual value for each that is left out. Raises
    SettingsError."""
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise SettingsError(f"The settings of capacity must be a mapping, not {given!r}.")
    unknown = sorted(str(name) for name in given if name not in Settings.__dataclass_fields__)
    unknown = [name for name in unknown if name != "pool_weights"]
    if unknown or "weights" in given:
        raise SettingsError(
            f"The settings of capacity hold {', '.join(unknown or ['weights'])}, which is none of "
            "nofile, workers, reserve, pool_weights and per_cpu."
        )
    usual = Settings()
    workers = given.get("workers", usual.workers)
    if not isinstance(workers, bool):
        raise SettingsError(f"wpward_capacity_workers is {workers!r}; it must be true or false.")
    return Settings(
        nofile=_whole(given.get("nofile", usual.nofile), "nofile", *_FILES),
        workers=workers,
        reserve=_reserve(given.get("reserve", usual.reserve)),
        weights=_weights(given.get("pool_weights")),
        per_cpu=_whole(given.get("per_cpu", usual.per_cpu), "per_cpu", *_PER_CPU),
    )


def _whole(value: Any, name: str, least: int, most: int) -> int:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SettingsError(
            f"wpward_capacity_{name} is {value!r}; it must be a whole number from {least} to "
            f"{most}."
        )
    return value


def _fraction(value: Any) -> Fraction | None:
    """None for what is no finite number. What comes from a template may be text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Fraction):
        return None
    try:
        # A float's text is what the operator wrote; the float itself is only near it.
        return Fraction(value if isinstance(value, Fraction) else str(value))
    except (ValueError, ZeroDivisionError):
        return None


def _reserve(value: Any) -> Fraction:
    share = _fraction(value)
    if share is None or not Fraction(1, 20) <= share <= Fraction(9, 10):
        raise SettingsError(
            f"wpward_capacity_reserve is {value!r}; it must be a share of the memory from 0.05 to "
            "0.9."
        )
    return share


def _weights(value: Any) -> dict[str, Fraction]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SettingsError(
            f"wpward_capacity_pool_weights must be a mapping such as {{www: 3, shop: 1}}, not "
            f"{value!r}."
        )
    weights = {}
    for pool, given in value.items():
        weight = _fraction(given)
        if weight is None or not 0 < weight <= 1000:
            raise SettingsError(
                f"wpward_capacity_pool_weights gives {pool} the weight {given!r}; it must be a "
                "number above 0 and at most 1000."
            )
        weights[str(pool)] = weight
    return weights
