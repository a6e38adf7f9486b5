# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs on a test host, by its Python and its fail2ban: what filters find in lines, and how fast.

Reads jobs as JSON from standard input and writes the results in the jobs' order:

filter, options: an installed filter; or failregex: expressions that take fail2ban's default times.
lines: lines of a log; found are lists of address and time, one list per line.
log: a file to read instead.
journal: the lines are the journal's, as {field: value}.
slow: [before, unit, count, after]: long lines; found are the milliseconds that the expressions take
for each, the best of several.
"""

from __future__ import annotations

import datetime
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append("/usr/lib/python3/dist-packages")

from fail2ban.client.filterreader import FilterReader  # type: ignore[import-not-found]
from fail2ban.server.filter import FileContainer, Filter  # type: ignore[import-not-found]

TRIES = 5


def expressions(job: dict[str, Any]) -> tuple[list[str], str | None]:
    """What fail2ban's own reader makes of an installed filter: failregex and datepattern."""
    if "failregex" in job:
        return job["failregex"], None
    reader = FilterReader(
        job["filter"], "test", job.get("options", {}), share_config={}, basedir="/etc/fail2ban"
    )
    assert reader.read(), job["filter"]
    reader.getOptions(None)
    fail, date = [], None
    for command in reader.convert():
        if "addfailregex" in command:
            last = command[-1]
            fail += last if isinstance(last, list) else [last]
        elif "datepattern" in command:
            date = command[-1]
    assert fail, job["filter"]
    return fail, date


def filter_of(job: dict[str, Any]) -> Any:
    fail, date = expressions(job)
    made = Filter(None)
    # Lines of any age count, as when fail2ban-regex reads them.
    made.checkFindTime = False
    made.setUseDns("yes" if "failregex" in job else "no")
    if date:
        made.setDatePattern(date)
    for expression in fail:
        made.addFailRegex(expression)
    return made


def journal_line(entry: dict[str, Any]) -> Any:
    """As fail2ban's systemd backend makes it of the journal's fields."""
    from fail2ban.server.filtersystemd import FilterSystemd  # type: ignore[import-not-found]

    backend = FilterSystemd.__new__(FilterSystemd)
    backend.jail = None
    backend.getLogEncoding = lambda: "utf-8"
    now = datetime.datetime(2026, 11, 22, 8, 50, 26, 123456)
    return backend.formatJournalEntry({**entry, "__REALTIME_TIMESTAMP": now})


def lines_of(job: dict[str, Any]) -> Any:
    if "log" not in job:
        return job["lines"]
    with Path(job["log"]).open("rb") as log:
        return [FileContainer.decode_line(job["log"], "utf-8", line).rstrip("\r\n") for line in log]


def found(job: dict[str, Any]) -> list[list[list[Any]]]:
    reading = filter_of(job)
    results = []
    for line in lines_of(job):
        failures = (
            reading.processLine(*journal_line(line))
            if job.get("journal")
            else reading.processLine(line)
        )
        results.append([[str(failure[1]), failure[2]] for failure in failures])
    return results


def milliseconds(job: dict[str, Any]) -> list[float]:
    reading = filter_of(job)
    fail = [re.compile(expression) for expression in reading.getFailRegex()]
    dates = [re.compile(one.template.regex) for one in reading.dateDetector.templates]
    results = []
    for before, unit, count, after in job["slow"]:
        line = before + unit * count + after
        best = float("inf")
        for _try in range(TRIES):
            spent = time.perf_counter()
            rest = line
            for date in dates:
                hit = date.search(line)
                spent_cutting = time.perf_counter()
                if hit and hit.group(1):
                    rest = line[: hit.start(1)] + line[hit.end(1) :]
                spent += time.perf_counter() - spent_cutting
            for expression in fail:
                expression.search(rest)
            best = min(best, time.perf_counter() - spent)
        results.append(best * 1000)
    return results


json.dump(
    [milliseconds(job) if "slow" in job else found(job) for job in json.load(sys.stdin)],
    sys.stdout,
)
