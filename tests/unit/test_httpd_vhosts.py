# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What httpd's virtual hosts say: addresses, names, roots, logs, with what they inherit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import load
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_logs import (
    COMMON,
    piped_file,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import (
    HttpdVhost,
    find_vhosts,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems


class Httpd:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.problems = Problems()
        self.formats: dict[str, str] = {}

    def vhosts(self, text: str, listen: str = "Listen 80\nListen 443\n") -> list[HttpdVhost]:
        path = self.base / "httpd.conf"
        path.write_text(listen + text)
        config = load(str(path), Known("/etc/httpd", "2.4.62"), {})
        assert config.problems == []
        vhosts, self.formats = find_vhosts(config, "/var/www/html", self.problems)
        return vhosts

    def vhost(self, own: str, main: str = "", address: str = "*:80 *:443") -> HttpdVhost:
        (one,) = self.vhosts(f"{main}\n<VirtualHost {address}>\n{own}\n</VirtualHost>\n")
        return one

    @property
    def told(self) -> list[str]:
        return [one["id"] for one in self.problems.describe()]


@pytest.fixture()
def httpd(tmp_path: Path) -> Httpd:
    return Httpd(tmp_path)


def listens(vhost: HttpdVhost) -> list[tuple[Any, ...]]:
    return [(one.address, one.port, one.tls, one.default) for one in vhost.listens]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("*:443", [("*", 443)]),
        ("*:8080", []),
        ("_default_:443", [("*", 443)]),
        ("192.0.2.1:80 [2001:db8::1]:81", [("192.0.2.1", 80), ("2001:db8::1", 81)]),
        ("*", [("*", 80), ("*", 443)]),
        ("*:*", [("*", 80), ("*", 443)]),
        ("192.0.2.1", [("192.0.2.1", 80), ("192.0.2.1", 443)]),
        ("www.example:80", [("www.example", 80)]),
        ("[", []),
    ],
)
def test_addresses(httpd: Httpd, address: str, expected: list[tuple[str, int]]) -> None:
    vhost = httpd.vhosts(f"<VirtualHost {address}>\n</VirtualHost>\n")[-1]
    assert [one[:2] for one in listens(vhost)] == expected


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("Listen 127.0.0.1:80", [("127.0.0.1", 80)]),
        ("Listen 127.0.0.1:80\nListen [::1]:80", [("127.0.0.1", 80), ("::1", 80)]),
        ("Listen [::]:80", [("::", 80)]),
        ("Listen 0.0.0.0:80\nListen [2001:db8::1]:80", [("*", 80)]),
        ("Listen 81", []),
        ("Listen 81\nListen ${PORT}", [("*", 80)]),
    ],
)
def test_a_virtual_host_of_any_address_answers_where_httpd_listens(
    httpd: Httpd, listen: str, expected: list[tuple[str, int]]
) -> None:
    text = "ServerName a.example\n<VirtualHost *:80>\n</VirtualHost>\n"
    vhost = httpd.vhosts(text, listen + "\n")[-1]
    assert [one[:2] for one in listens(vhost)] == expected
    assert vhost.server_names == ["a.example"]


def test_our_own_file_is_no_rule_of_the_sites(httpd: Httpd) -> None:
    rule = "<Location /xmlrpc.php>\nRequire all denied\n</Location>\n"
    for name, rules in (("wpward.conf", 0), ("other.conf", 1)):
        (httpd.base / name).write_text(rule)
        vhost = httpd.vhost("", f"Include {httpd.base}/{name}")
        assert (len(vhost.xmlrpc_rules), vhost.closed) == (rules, rules == 0)


def test_tls(httpd: Httpd) -> None:
    assert [one[2] for one in listens(httpd.vhost("SSLEngine on"))] == [True, True]
    assert [one[2] for one in listens(httpd.vhost("", "SSLEngine On"))] == [True, True]
    assert [one[2] for one in listens(httpd.vhost("SSLEngine off", "SSLEngine on"))] == [False] * 2
    (vhost,) = httpd.vhosts("<VirtualHost *>\n</VirtualHost>", "Listen 80\nListen 443 https\n")
    assert [one[1:3] for one in listens(vhost)] == [(80, False), (443, True)]


def test_the_proxy_protocol(httpd: Httpd) -> None:
    def proxied(own: str, main: str = "") -> list[bool]:
        return [one.proxy_protocol for one in httpd.vhost(own, main).listens]

    assert proxied("") == [False, False]
    assert proxied("RemoteIPProxyProtocol On") == [True, True]
    assert proxied("", "RemoteIPProxyProtocol On") == [True, True]
    assert proxied("RemoteIPProxyProtocol Off", "RemoteIPProxyProtocol On") == [False, False]
    (main,) = httpd.vhosts("RemoteIPProxyProtocol On\n", "Listen 80\n")
    assert main.listens[0].proxy_protocol


def test_the_first_of_an_address_is_its_default(httpd: Httpd) -> None:
    text = "<VirtualHost *:80>\nServerName {}\n</VirtualHost>\n"
    one, two = httpd.vhosts(text.format("a") + text.format("b"), "Listen 80\n")
    assert (one.listens[0].default, two.listens[0].default) == (True, False)


def test_the_main_server_answers_what_no_virtual_host_takes(httpd: Httpd) -> None:
    (main,) = httpd.vhosts("ServerName main.example\nDocumentRoot /srv/main\n")
    assert main.id == f"httpd:{os.path.realpath(httpd.base)}/httpd.conf:0"
    assert (main.line, main.server_names) == (0, ["main.example"])
    assert [one[:2] for one in listens(main)] == [("*", 80), ("*", 443)]
    main, vhost = httpd.vhosts("<VirtualHost *:80>\n</VirtualHost>\n")
    assert [one[:2] for one in listens(main)] == [("*", 443)]
    assert vhost.line == 3
    main, _vhost = httpd.vhosts("<VirtualHost 192.0.2.1>\n</VirtualHost>\n")
    assert main.line == 0


def test_names(httpd: Httpd) -> None:
    vhost = httpd.vhost(
        "ServerName https://Blog.example:443\nServerAlias www.blog.example *.example\n"
        "ServerAlias blog.test www.blog.example"
    )
    assert vhost.server_names == ["Blog.example", "www.blog.example", "*.example", "blog.test"]
    assert httpd.vhost("", "ServerName main.example:80").server_names == ["main.example"]
    own_address = httpd.vhosts("ServerName a.example\n<VirtualHost 192.0.2.1:80>\n</VirtualHost>")
    assert [one.server_names for one in own_address] == [["a.example"], []]


def test_roots(httpd: Httpd) -> None:
    def roots(own: str, main: str = "") -> list[tuple[str, str]]:
        return [(one.url_path, one.path) for one in httpd.vhost(own, main).roots]

    assert roots('DocumentRoot "/srv/a b/"') == [("/", "/srv/a b")]
    assert roots("DocumentRoot htdocs", "DocumentRoot /srv/main") == [("/", "/etc/httpd/htdocs")]
    assert roots("", "DocumentRoot /srv/main") == [("/", "/srv/main")]
    assert roots("") == [("/", "/var/www/html")]
    assert roots("Alias /blog /srv/wp", "Alias /icons/ /usr/share/icons/") == [
        ("/", "/var/www/html"),
        ("/blog/", "/srv/wp"),
        ("/icons/", "/usr/share/icons"),
    ]
    assert roots("Alias / /srv/wp")[1:] == [("/", "/srv/wp")]
    assert roots('<Location "/shop">\nAlias /srv/shop\n</Location>')[1:] == [
        ("/shop/", "/srv/shop")
    ]
    assert httpd.told == []


@pytest.mark.parametrize("own", ["DocumentRoot /srv/${SITE}", "VirtualDocumentRoot /srv/%0"])
def test_roots_that_the_configuration_does_not_tell(httpd: Httpd, own: str) -> None:
    assert "/srv/${SITE}" not in [one.path for one in httpd.vhost(own).roots]
    assert httpd.told == ["root_unknown"]


COMBINED = '"%h %l %u %t \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\""'
FORMATS = f'LogFormat {COMBINED} combined\nLogFormat "%h %l" short\n'


def logs(vhost: HttpdVhost) -> list[tuple[str, str]]:
    return [(one.path, one.format) for one in vhost.access_logs]


def test_access_logs(httpd: Httpd) -> None:
    main = FORMATS + "CustomLog logs/access_log combined\n"
    assert logs(httpd.vhost("", main)) == [("/etc/httpd/logs/access_log", "combined")]
    assert httpd.formats["combined"] == ('%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"')
    own = "CustomLog /v/a.log short\nCustomLog /v/b.log combined env=!quiet\n"
    assert logs(httpd.vhost(own, main)) == [("/v/a.log", "short"), ("/v/b.log", "combined")]
    everywhere = main + "GlobalLog /v/all.log combined\n"
    assert logs(httpd.vhost(own, everywhere))[-1] == ("/v/all.log", "combined")
    assert logs(httpd.vhost('CustomLog /v/a.log "%a %m"', main)) == [("/v/a.log", "%a %m")]
    assert httpd.told == []


def test_a_nickname_that_means_something_else_here(httpd: Httpd) -> None:
    own = 'LogFormat "%a" combined\nCustomLog /v/a.log combined\nCustomLog /v/b.log short\n'
    assert logs(httpd.vhost(own, FORMATS)) == [("/v/a.log", "%a"), ("/v/b.log", "short")]


def test_transferlog_takes_the_format_without_a_nickname(httpd: Httpd) -> None:
    assert logs(httpd.vhost("TransferLog /v/a.log")) == [("/v/a.log", COMMON)]
    main = 'LogFormat "%h"\n'
    assert logs(httpd.vhost("TransferLog /v/a.log", main)) == [("/v/a.log", "%h")]
    own = 'LogFormat "%a"\nTransferLog /v/a.log\n'
    assert logs(httpd.vhost(own, main)) == [("/v/a.log", "%a")]
    assert logs(httpd.vhost("CustomLog /v/a.log env=x", main)) == [("/v/a.log", "%h")]


def test_error_logs(httpd: Httpd) -> None:
    assert httpd.vhost("").error_logs == ["/etc/httpd/logs/error_log"]
    assert httpd.vhost("", "ErrorLog /v/main.log").error_logs == ["/v/main.log"]
    assert httpd.vhost("ErrorLog logs/x", "ErrorLog /v/main.log").error_logs == [
        "/etc/httpd/logs/x"
    ]
    assert httpd.told == []


@pytest.mark.parametrize(
    "log",
    [
        "ErrorLog syslog",
        "ErrorLog syslog:local1",
        'ErrorLog "|/usr/bin/logger -t httpd"',
        'CustomLog "|/usr/bin/logger --password=hidden" combined',
        'CustomLog "||/usr/bin/cronolog /v/%Y/access.log" combined',
        "CustomLog ${LOGS}/access.log combined",
        'CustomLog "|\'" combined',
    ],
)
def test_logs_that_are_no_files(httpd: Httpd, log: str) -> None:
    vhost = httpd.vhost(log)
    assert vhost.access_logs == []
    assert vhost.error_logs == ([] if log.startswith("E") else ["/etc/httpd/logs/error_log"])
    assert httpd.told == ["log_not_a_file"]
    assert "hidden" not in httpd.problems.describe()[0]["message"]


def test_rotatelogs(tmp_path: Path) -> None:
    known = Known(str(tmp_path), "2.4.62")
    for number, name in enumerate(
        ["a.log.1700000000", "a.log.1700086400", "b.2020-01-01.log", "b.2020-01-02.log", "b.x"]
    ):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (number, number))

    def file(arguments: str) -> str | None:
        found = piped_file("|/usr/sbin/rotatelogs " + arguments, known)
        return found and found.replace(str(tmp_path) + "/", "")

    assert file("a.log 86400") == "a.log.1700086400"
    assert file(f"-l {tmp_path}/b.%Y-%m-%d.log 86400") == "b.2020-01-02.log"
    assert file("-l -L current.log b.%Y.log 86400") == "current.log"
    assert file("-t plain.log 86400") == "plain.log"
    assert file("-n 5 plain.log 10M") == "plain.log"
    assert file("gone.log 86400") is None
    assert file("") is None
    assert piped_file("|/usr/bin/other a.log", known) is None
    assert piped_file("|", known) is None


def test_rules_about_xmlrpc(httpd: Httpd) -> None:
    vhost = httpd.vhost(
        "# xmlrpc\n<Location /xmlrpc.php>\nRequire all denied\n</Location>",
        '<Files "XMLRPC.php">\n</Files>',
    )
    assert [(one["line"], one["text"]) for one in vhost.xmlrpc_rules] == [
        (7, "<Location /xmlrpc.php>"),
        (3, '<Files "XMLRPC.php">'),
    ]


def test_the_evidence_has_what_the_contract_says(httpd: Httpd) -> None:
    described = httpd.vhost("ServerName a").describe()
    assert described["server"] == "httpd"
    assert set(described) == {
        *("server", "id", "file", "line", "sha256", "server_names", "listens", "roots"),
        *("access_logs", "error_logs", "xmlrpc_rules", "sites", "fronted"),
    }
    assert len(str(described["sha256"])) == 64


def test_a_file_that_is_included_twice_makes_its_virtual_hosts_once(httpd: Httpd) -> None:
    (httpd.base / "site.conf").write_text("<VirtualHost *:80>\nServerName a\n</VirtualHost>\n")
    include = f"Include {httpd.base}/site.conf\n"
    assert len(httpd.vhosts(include * 2, "Listen 80\n")) == 1


def test_an_empty_configuration(httpd: Httpd) -> None:
    assert httpd.vhosts("", listen="") == []
