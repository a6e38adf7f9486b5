# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The numbers of php-fpm and httpd that go with a maximum of workers.

php-fpm refuses to start unless min_spare_servers <= start_servers <= max_spare_servers <=
max_children. httpd only warns and lowers MaxRequestWorkers to what ServerLimit allows, so both are
set together; ServerLimit acts after a restart only.

No timeouts are among them. A request_terminate_timeout of php-fpm ends an update, an import or a
backup in WordPress's administration, which may take many minutes and leave a broken site when they
are cut off, and a lower Timeout of httpd tells who waits for them that they failed. What keeps
requests from piling up is a short queue: whoever is let in has a chance to be answered while he
still waits.

- nginx 1.22 with php-fpm 8.2, both workers stuck: at a backlog of 511 every request waited until
  nginx gave up after 60 seconds with a 504; at 8, from the tenth on they got a 502 within a
  millisecond, and pictures were served all the time.
- httpd 2.4.71, prefork, 4 workers that take half a second for a request, 20 requests a second from
  clients that wait 6 seconds: at a ListenBacklog of 511 the queue grew until every client had left
  before his turn, and from then on none was answered; at 32 the workers went on at 5 a second.
- httpd 2.4.71, event, asking php-fpm 8.2: here the backlog changes nothing. httpd waits in
  connect() when the queue is full, with no timeout of its own, so a pool that it asks keeps its.
  fcgi_limits limits what httpd asks of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_workers import Front

Row = Mapping[str, Any]
Numbers = dict[str, Any]

_QUEUE = 4
"""Requests that may wait, per worker: then each waits about four times as long as one takes."""
_SHORTEST_QUEUE = 32
"""A browser that opens an administration page asks for a dozen at once."""
_LONGEST_QUEUE = 511
"""What php-fpm and httpd have where nothing is said."""

# httpd's own where nothing is said.
_SERVERS = {"MinSpareServers": 5, "MaxSpareServers": 10}
SPARE_THREADS = 75
START_SERVERS = 3
_THREADS = {"MinSpareThreads": SPARE_THREADS, "MaxSpareThreads": 250}


def queue_length(workers: int, now: int | None) -> int:
    """The backlog for that many workers. now: what is set; a shorter one stays."""
    wanted = min(max(_QUEUE * workers, _SHORTEST_QUEUE), _LONGEST_QUEUE)
    return min(now, wanted) if now is not None and now > 0 else wanted


def pool_numbers(pool: Row, children: int, nofile: int, by_nginx: bool) -> Numbers:
    """A pool's complete numbers; None for what is left to its own file.

    children: pm.max_children. nofile: open files that its service has at least. by_nginx: only
    nginx asks it.
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
    # Over TCP a full queue refuses nobody: nginx's kernel asks again until nginx gives up.
    if by_nginx and str(pool.get("listen")).startswith("/"):
        numbers["backlog"] = queue_length(children, pool.get("backlog"))
    files = pool.get("rlimit_files")
    if files is not None and 0 < files < nofile:
        numbers["rlimit_files"] = nofile
    return numbers


def _within(number: int | None, least: int, most: int) -> int:
    return max(least, min(number or least, most))


def differs(pool: Row, numbers: Numbers) -> bool:
    """Whether a pool has other numbers now."""
    return any(pool.get(name) != number for name, number in numbers.items())


def prefork_numbers(httpd: Row, workers: int, php: bool) -> Numbers:
    """httpd's complete numbers under the prefork MPM for that many MaxRequestWorkers. php: they run
    PHP themselves."""
    values = httpd["values"]
    numbers = {"MaxRequestWorkers": workers}
    numbers |= _server_limit(httpd, workers)
    numbers |= _spares(values, _SERVERS, workers)
    if php:
        numbers["ListenBacklog"] = queue_length(workers, values.get("ListenBacklog"))
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
