# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The numbers of php-fpm and httpd that go with a maximum of workers.

php-fpm refuses to start unless min_spare_servers <= start_servers <= max_spare_servers <=
max_children. httpd only warns and lowers MaxRequestWorkers to what ServerLimit allows, so both are
set together; ServerLimit acts after a restart only.

No timeouts are among them. request_terminate_timeout and httpd's Timeout would end an update, an
import or a backup in WordPress's administration, which take many minutes and leave a broken site
when they are cut off; what keeps slow requests from piling up is the short queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_workers import Front
from ansible_collections.wpward.wordpress.plugins.plugin_utils.worker_budget import LEAST

Row = Mapping[str, Any]
Numbers = dict[str, Any]

_QUEUE = 4
"""Requests that may wait, per worker: then a request waits about four times as long as one takes.

Measured with two workers that are stuck, nginx 1.22 and php-fpm 8.2: at the backlog of 511, 38
requests waited, GET / among them, until nginx gave up after 60 seconds and said 504. At 8, nginx
said 502 for the tenth and all that followed within one millisecond."""
_SHORTEST_QUEUE = 32
_LONGEST_QUEUE = 511
"""PHP's and httpd's own."""

# httpd's own where nothing is said.
_SERVERS = {"MinSpareServers": 5, "MaxSpareServers": 10}
_THREADS = {"MinSpareThreads": 75, "MaxSpareThreads": 250}


def queue_length(workers: int, now: int | None) -> int:
    """The backlog for that many workers. now: what is set; a shorter one stays."""
    wanted = min(max(_QUEUE * workers, _SHORTEST_QUEUE), _LONGEST_QUEUE)
    return min(now, wanted) if now is not None and now > 0 else wanted


def pool_numbers(pool: Row, children: int, nofile: int, threads: int | None) -> Numbers:
    """A pool's complete numbers; None for what is left to its own file.

    children: pm.max_children. nofile: open files that its service has at least. threads: requests
    that httpd works on at most, where it asks this pool.
    """
    numbers: Numbers = {
        "name": pool["name"],
        "max_children": children,
        "start_servers": None,
        "min_spare_servers": None,
        "max_spare_servers": None,
        "backlog": pool.get("backlog"),
        "request_terminate_timeout": pool.get("request_terminate_timeout"),
        "rlimit_files": pool.get("rlimit_files"),
    }
    if pool.get("pm") == "dynamic":
        most = _within(pool.get("max_spare_servers"), 1, children)
        least = _within(pool.get("min_spare_servers"), 1, most)
        numbers["max_spare_servers"], numbers["min_spare_servers"] = most, least
        start = pool.get("start_servers") or least + (most - least) // 2
        numbers["start_servers"] = _within(start, least, most)
    # Over TCP a full queue is not refused but asked again and again by the client's kernel.
    if str(pool.get("listen")).startswith("/"):
        queue = queue_length(children, pool.get("backlog"))
        if threads is not None:
            # Or else all of httpd waits for PHP, and answers not even for a picture.
            queue = min(queue, max(threads * 3 // 4 - children, LEAST))
        numbers["backlog"] = queue
    files = pool.get("rlimit_files")
    if files is not None and 0 < files < nofile:
        numbers["rlimit_files"] = nofile
    return numbers


def _within(number: int | None, least: int, most: int) -> int:
    return max(least, min(number or least, most))


def differs(pool: Row, numbers: Numbers) -> bool:
    """Whether a pool has other numbers now."""
    return any(pool.get(name) != number for name, number in numbers.items())


def prefork_numbers(httpd: Row, workers: int) -> Numbers:
    """httpd's complete numbers under the prefork MPM for that many MaxRequestWorkers."""
    values = httpd["values"]
    numbers = {"MaxRequestWorkers": workers}
    numbers |= _server_limit(httpd, workers)
    numbers |= _spares(values, _SERVERS, workers)
    return numbers


def threaded_numbers(httpd: Row, front: Front, processes: int) -> Numbers:
    """The same under the event or worker MPM for that many processes."""
    requests = processes * front.threads
    numbers = {"MaxRequestWorkers": requests}
    numbers |= _server_limit(httpd, processes)
    numbers |= _spares(httpd["values"], _THREADS, requests)
    return numbers


def _server_limit(httpd: Row, processes: int) -> Numbers:
    """Raised where it must be; what is set explicitly is kept, as a higher one costs nothing."""
    explicit = httpd["values"].get("ServerLimit")
    if processes > httpd["effective"]["server_limit"]:
        return {"ServerLimit": processes}
    return {"ServerLimit": explicit} if explicit is not None else {}


def _spares(values: Row, usual: Mapping[str, int], most: int) -> Numbers:
    """Spare servers or threads that fit under the maximum."""
    numbers = {}
    for name, number in usual.items():
        now = values.get(name)
        fits = max(most // 2 if name.startswith("Min") else most, 1)
        if now is not None or number > fits:
            numbers[name] = min(now or number, fits)
    return numbers


def httpd_differs(httpd: Row, numbers: Numbers) -> bool:
    """Whether httpd has other numbers now."""
    effective = {
        "MaxRequestWorkers": httpd["effective"]["max_request_workers"],
        "ServerLimit": httpd["effective"]["server_limit"],
    }
    return any(
        effective.get(name, httpd["values"].get(name)) != number for name, number in numbers.items()
    )
