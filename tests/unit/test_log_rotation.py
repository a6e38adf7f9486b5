# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import log_rotation
from ansible_collections.wpward.wordpress.plugins.module_utils.logrotate_config import parse
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import Log

DEBIAN = """\
/var/log/nginx/*.log {
\tdaily
\tmissingok
\trotate 14
\tcompress
\tdelaycompress
\tpostrotate
\t\tif [ -f /run/x ]; then
\t\t\trotate 99 # {
\t\tfi
\tendscript
}
"""
DAY = 86400


@dataclass
class Vhost:
    id: str
    access_logs: list[Log] = field(default_factory=list)


def vhost(server: str, *logs: str) -> Any:
    return Vhost(f"{server}:/etc/x:1", [Log(path, "combined") for path in logs])


def numbers(text: str) -> list[tuple[Any, ...]]:
    """Of each section: patterns, frequency, and the texts that stand at the numbers' places."""
    data = text.encode()
    found = []
    for section in parse(data).sections:
        options = section.options
        places = [
            data[one.offset : one.offset + one.length].decode() if one else None
            for one in (options.rotate, options.max_age)
        ]
        assert data[section.body - 1 : section.body] == b"{"
        found.append((section.patterns, options.frequency, *places))
    return found


def test_debians_file_and_its_script() -> None:
    assert numbers(DEBIAN) == [(["/var/log/nginx/*.log"], "daily", "14", None)]


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("weekly\nrotate 4\n/a {\n}\n", [(["/a"], "weekly", "4", None)]),
        ("/a /b\n/c {\nmonthly\nrotate=12\n}", [(["/a", "/b", "/c"], "monthly", "12", None)]),
        ('"/a b/*.log" {\n rotate 3\n rotate 5\n}\n', [(["/a b/*.log"], "daily", "5", None)]),
        ("/a { # x\n  rotate 3 # 7\n maxage  20\n}\n", [(["/a"], "daily", "3", "20")]),
        (
            "# /x {\n/a\n{\n hourly\n}\n/b {\n}\n",
            [(["/a"], "hourly", None, None), (["/b"], "daily", None, None)],
        ),
        ("/a {\n rotate x\n}\n", [(["/a"], "daily", None, None)]),
        ("/a {\n rotate 5", []),
        ("", []),
    ],
)
def test_sections(text: str, sections: list[Any]) -> None:
    assert numbers(text) == sections


def test_includes_and_sizes() -> None:
    read = parse(b"include /etc/logrotate.d\nsize 10M\n/a {\n size 5k\n}\n/b {\n weekly\n}\n")
    assert read.includes == ["/etc/logrotate.d"]
    first, second = (section.options for section in read.sections)
    assert first.size == 5 * 1024 and second.size is None and read.defaults.size == 10 << 20


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/etc and /var/log of a host, and a logrotate that accepts everything."""
    (tmp_path / "logrotate.d").mkdir()
    (tmp_path / "log").mkdir()
    main = tmp_path / "logrotate.conf"
    main.write_text(f"weekly\nrotate 4\ninclude {tmp_path}/logrotate.d\n")
    monkeypatch.setattr(log_rotation, "ROOTS", (str(main),))
    monkeypatch.setattr(log_rotation, "program", lambda _name: "/usr/sbin/logrotate")
    monkeypatch.setattr(log_rotation, "ask", lambda _argv, _deadline: (0, b"", b""))
    return tmp_path


def write(host: Path, name: str, text: str) -> Path:
    path = host / "logrotate.d" / name
    path.write_text(text.replace("/var/log", str(host / "log")))
    return path


def log(host: Path, name: str, size: int, days: float = 0) -> str:
    path = host / "log" / name
    path.write_bytes(b"x" * size)
    at = time.time() - days * DAY
    os.utime(path, (at, at))
    return str(path)


def test_the_section_that_rotates_a_log(host: Path) -> None:
    file = write(host, "nginx", DEBIAN.replace("/nginx/", "/"))
    write(host, "nginx.dpkg-old", DEBIAN.replace("/nginx/", "/").replace("14", "2"))
    access = log(host, "a.log", 0)
    (row,) = log_rotation.collect([vhost("nginx", access, "syslog:server=x")], 0)
    assert row["file"] == str(file)
    assert row["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (row["server"], row["frequency"], row["rotate"], row["kept_days"]) == (
        *("nginx", "daily"),
        *(14, 14),
    )
    assert row["compress"] and row["logs"] == [access] and row["refusal"] is None
    edit = row["edit"]
    text = file.read_bytes()
    assert text[edit["offset"] : edit["offset"] + edit["length"]] == b"14"
    assert edit["before"] == ""
    assert row["mount"] and row["disk_available"] > 0


def test_a_number_that_stands_elsewhere_is_put_into_the_section(host: Path) -> None:
    file = write(host, "httpd", "/var/log/*_log {\n    missingok\n}\n")
    (row,) = log_rotation.collect([vhost("httpd", log(host, "access_log", 0))], 0)
    assert (row["rotate"], row["kept_days"], row["frequency"]) == (4, 28, "weekly")
    edit, text = row["edit"], file.read_text()
    edited = text[: edit["offset"]] + edit["before"] + "5" + text[edit["offset"] + edit["length"] :]
    assert [
        one.options.rotate.value for one in parse(edited.encode()).sections if one.options.rotate
    ]
    assert edited.count("{") == 1 and "rotate 5\n    missingok" in edited


def test_a_star_stands_for_no_directory(host: Path) -> None:
    write(host, "nginx", DEBIAN.replace("/nginx/", "/"))
    (host / "log" / "site").mkdir()
    assert log_rotation.collect([vhost("nginx", log(host, "site/a.log", 0))], 0) == []


def test_what_a_day_takes_up(host: Path) -> None:
    """The rotated files' days, compressed; the newest of them is not compressed yet."""
    write(host, "nginx", DEBIAN.replace("/nginx/", "/"))
    access = log(host, "a.log", 1000)
    log(host, "a.log.1", 50_000, days=1)
    for day in range(2, 12):
        log(host, f"a.log.{day}.gz", 2_000, days=day)
    log(host, "a.log.old", 9_000_000, days=3)
    (row,) = log_rotation.collect([vhost("nginx", access)], 0)
    assert row["bytes_per_day"] == pytest.approx((9 * 2_000 + 10_000) / 10, rel=0.01)


def test_during_an_attack_today_counts(host: Path) -> None:
    write(host, "nginx", DEBIAN.replace("/nginx/", "/"))
    access = log(host, "a.log", 1_000_000)
    log(host, "a.log.1", 100, days=1)
    log(host, "a.log.2.gz", 10, days=2)
    (row,) = log_rotation.collect([vhost("nginx", access)], 0)
    assert row["bytes_per_day"] == pytest.approx(200_000, rel=0.01)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ("weekly\nrotate 52", 364),
        ("monthly\nrotate 2", 60),
        ("hourly\nrotate 48", 2),
        ("rotate -1", None),
        ("rotate 0", 0),
        ("daily\nrotate 60\nmaxage 20", 20),
        # 100,000 bytes a day.
        ("size 200k\nrotate 10", 20),
        ("daily\nsize 1k\nrotate 10", 10),
        ("weekly\nmaxsize 200k\nrotate 10", 20),
        ("daily\nmaxsize 900M\nrotate 10", 10),
    ],
)
def test_for_how_long_a_log_is_kept(host: Path, options: str, kept: int | None) -> None:
    write(host, "nginx", f"/var/log/*.log {{\n{options}\n}}\n")
    (row,) = log_rotation.collect([vhost("nginx", log(host, "a.log", 102_400))], 0)
    assert row["kept_days"] == kept
    assert (row["max_age"] is not None) == ("maxage" in options)


def test_the_first_file_that_names_a_log_has_it(host: Path) -> None:
    first = write(host, "a", "/var/log/a.log {\n rotate 3\n}\n/var/log/b.log {\n rotate 4\n}\n")
    write(host, "b", "/var/log/*.log {\n rotate 9\n}\n")
    logs = [log(host, "a.log", 0), log(host, "b.log", 0)]
    rows = log_rotation.collect([vhost("nginx", *logs)], 0)
    assert [(row["file"], row["rotate"]) for row in rows] == [(str(first), 3), (str(first), 4)]


def test_what_logrotate_refuses_is_told(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(host, "nginx", DEBIAN.replace("/nginx/", "/"))
    said = f"reading\nerror: {file}:3 unknown option 'foo' -- ignoring line\n".encode()
    monkeypatch.setattr(log_rotation, "ask", lambda _argv, _deadline: (1, b"", said))
    (row,) = log_rotation.collect([vhost("nginx", log(host, "a.log", 0))], 0)
    assert row["refusal"] == (
        f"logrotate refuses {file}: error: {file}:3 unknown option 'foo' -- ignoring line."
    )


def test_without_logrotate_nothing_rotates(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(host, "nginx", DEBIAN.replace("/nginx/", "/"))
    monkeypatch.setattr(log_rotation, "program", lambda _name: None)
    assert log_rotation.collect([vhost("nginx", log(host, "a.log", 0))], 0) == []
