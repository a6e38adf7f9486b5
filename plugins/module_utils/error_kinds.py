# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a server that is overrun writes into its error log, and how its own words are told from a
client's.

Every pattern is matched from the beginning of a line and looks for a message only right behind the
fields that the server itself writes. A request line, a referrer or a host name, which servers
quote further on, never counts. What remains forgeable: nginx copies what PHP writes to its error
stream with raw line ends (seen with nginx 1.22 and PHP 8.2), so a plugin that logs a visitor's
words unchanged lets him write whole lines. Take these counts together with other evidence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Sequence


@dataclass(frozen=True)
class Kind:
    """One kind of message. ``needle``: a part of it that is quick to look for. ``pattern``:
    matches at the beginning of a line; its group ``time`` is the stamp."""

    service: str
    id: str
    needle: bytes
    pattern: re.Pattern[bytes]
    description: str


_NGINX = (
    rb"(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[[a-z]{1,8}\] \d{1,10}#\d{1,20}: "
    rb"(?:\*\d{1,20} )?"
)
_HTTPD_TIME = (
    rb"\[(?P<time>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})? \d{4}"
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?)\] "
)
# No [client ...] field: behind it stand messages of modules, PHP's with a visitor's words.
_HTTPD = _HTTPD_TIME + rb"(?:\[(?:[a-z0-9_]{1,32}:)?[a-z0-9]{1,8}\] )(?:\[pid [\d:a-z ]{1,60}\] )?"
_FPM = rb"\[(?P<time>\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d)(?:\.\d{1,9})?\] "
_FPM_POOL = rb"\[pool [^\]\n]{1,128}\] "


def _kind(service: str, identity: str, needle: bytes, pattern: bytes, description: str) -> Kind:
    return Kind(service, identity, needle, re.compile(pattern), description)


KINDS: Sequence[Kind] = (
    _kind(
        "nginx",
        "nginx_worker_connections",
        b" worker_connections are not enough",
        _NGINX + rb"\d{1,10} worker_connections are not enough",
        "nginx has used up worker_connections and drops or cuts off connections.",
    ),
    _kind(
        "nginx",
        "nginx_open_files",
        b"() failed (24: ",
        # Not open(), whose file name comes from the request.
        _NGINX + rb"(?:accept4?|socket|pipe2?|dup2?|eventfd)\(\) failed \(24: ",
        "nginx has used up the open files that it is allowed.",
    ),
    _kind(
        "nginx",
        "nginx_upstream_timeout",
        b"upstream timed out (110: ",
        _NGINX + rb"upstream timed out \(110: ",
        "PHP (or another server behind nginx) did not answer in time: visitors saw 504.",
    ),
    _kind(
        "nginx",
        "nginx_upstream_refused",
        b"connect() ",
        _NGINX + rb"connect\(\) (?:to [^ \n]{1,255} )?failed \((?:11|111): ",
        "PHP (or another server behind nginx) took no more connections, because its queue was "
        "full or it was not running: visitors saw 502.",
    ),
    _kind(
        "httpd",
        "httpd_max_request_workers",
        b"server reached Max",
        _HTTPD + rb"(?:AH\d{5}: )?server reached Max(?:RequestWorkers|Clients) setting",
        "Every worker that httpd may have was busy (AH00484, AH00161; MaxClients before 2.4). "
        "httpd says so once after each start, so the count tells the starts since which it "
        "happened and not how often it happened.",
    ),
    _kind(
        "httpd",
        "httpd_min_spare_threads",
        b"server is within MinSpareThreads",
        _HTTPD + rb"(?:AH\d{5}: )?server is within MinSpareThreads of Max",
        "httpd was about to run out of workers (AH10159). It says so once after each start.",
    ),
    _kind(
        "httpd",
        "httpd_scoreboard_full",
        b"scoreboard is full",
        _HTTPD + rb"(?:AH\d{5}: )?scoreboard is full, not at Max(?:RequestWorkers|Clients)",
        "httpd could not start another process, because those of an older configuration still "
        "held their places while they finished requests (AH00485, AH00288, AH03490).",
    ),
    _kind(
        "httpd",
        "httpd_open_files",
        b"(24)Too many open files: ",
        _HTTPD + rb"\(24\)Too many open files: ",
        "httpd has used up the open files that it is allowed.",
    ),
    _kind(
        "php-fpm",
        "fpm_max_children",
        b"max_children setting (",
        _FPM + rb"WARNING: " + _FPM_POOL + rb"server reached (?:pm\.)?max_children setting \(",
        "Every worker that a php-fpm pool may have was busy: requests waited or were refused.",
    ),
)
FPM_SYSLOG = _kind(
    "php-fpm",
    "fpm_max_children",
    b"max_children setting (",
    rb"\[WARNING\] " + _FPM_POOL + rb"server reached (?:pm\.)?max_children setting \(",
    "",
)
"""The same as php-fpm sends it to syslog; the stamp is the journal's."""

KERNEL: Sequence[Kind] = (
    _kind(
        "kernel",
        "kernel_oom",
        b"Out of memory: Kill",
        rb"Out of memory: Kill(?:ed)? process \d+ \(",
        "The host's memory was used up and the kernel killed a process.",
    ),
    _kind(
        "kernel",
        "kernel_oom_service",
        b"Memory cgroup out of memory: Kill",
        rb"Memory cgroup out of memory: Kill(?:ed)? process \d+ \(",
        "A service or container used up the memory that it is allowed and the kernel killed a "
        "process of it.",
    ),
)
"""The patterns match a kernel message without its stamp."""

_SYSLOG = (
    rb"(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)[^ \n]{0,20} "
    rb"[^ \n]{1,255} kernel: (?:\[ *\d+\.\d+\] ?)?"
)
KERNEL_LINES: Sequence[Kind] = tuple(
    replace(kind, pattern=re.compile(_SYSLOG + kind.pattern.pattern)) for kind in KERNEL
)
"""The same as a syslog daemon writes them into kern.log or messages."""

STAMPS: dict[str, re.Pattern[bytes]] = {
    "nginx": re.compile(rb"^(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[", re.MULTILINE),
    "httpd": re.compile(rb"^" + _HTTPD_TIME, re.MULTILINE),
    "php-fpm": re.compile(rb"^" + _FPM, re.MULTILINE),
    "kernel": re.compile(
        rb"^(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)",
        re.MULTILINE,
    ),
}
"""By service: what finds the first line with a stamp in a block of lines."""
