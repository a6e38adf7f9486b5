# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""httpd settings that do something else than their author meant, and the like that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import load
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_traps import find
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import find_vhosts
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import find_sites

BLOG = "ServerName blog.example\nDocumentRoot BLOG\n"
SET_HANDLER = (
    r'<FilesMatch ".+\.php$">' + '\nSetHandler "proxy:unix:/run/php/php-fpm.sock|fcgi://localhost"'
    "\n</FilesMatch>\n"
)
PASS_MATCH = r'ProxyPassMatch "^/(.*\.php(/.*)?)$" "fcgi://127.0.0.1:9000/srv/$1"' + "\n"
FILES = "<Files xmlrpc.php>\nRequire all denied\n</Files>\n"
ALLOW = "<Directory BLOG>\nAllowOverride All\n</Directory>\n"


class Host:
    """An httpd with one WordPress in ``blog``."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.blog = base / "blog"
        for path in ("blog", "sub/wp"):
            (base / path / "wp-includes").mkdir(parents=True)
            (base / path / "wp-load.php").touch()
            (base / path / "wp-includes/version.php").write_text("<?php\n$wp_version = '6.1';")

    def traps(self, *vhosts: str, main: str = "") -> list[dict[str, Any]]:
        text = "Listen 80\n" + main + "\n"
        text += "".join(f"<VirtualHost *:80>\n{one}\n</VirtualHost>\n" for one in vhosts)
        text = text.replace("BLOG", str(self.blog)).replace("SUB", str(self.base / "sub"))
        (self.base / "httpd.conf").write_text(text)
        known = Known(str(self.base), "2.4.62", modules={"proxy_module", "rewrite_module"})
        config = load(str(self.base / "httpd.conf"), known, {})
        assert config.problems == []
        found, _formats = find_vhosts(config, None, Problems())
        return find(found, find_sites(found, Problems()), ["192.0.2.7"])

    def htaccess(self, text: str) -> None:
        (self.blog / ".htaccess").write_text(text)


@pytest.fixture()
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def ids(traps: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in traps]


REWRITE = r"RewriteRule ^/xmlrpc\.php$ - [F]" + "\n"
LOCATION = '<Location "/xmlrpc.php">\nRequire all denied\n</Location>\n'


@pytest.mark.parametrize(
    "rule",
    [
        "",
        FILES,
        LOCATION,
        "RewriteEngine On\n" + REWRITE,
        "RedirectMatch 403 xmlrpc\n",
        '<LocationMatch "(?i)/xmlrpc\\.php(?:/|$)">\nRequire all denied\n</LocationMatch>\n',
    ],
)
def test_rules_that_fire(host: Host, rule: str) -> None:
    assert host.traps(BLOG + SET_HANDLER + rule) == []


@pytest.mark.parametrize(
    "rule",
    [
        LOCATION,
        "RewriteEngine On\n" + REWRITE,
        '<LocationMatch "/xmlrpc\\.php">\n<If "! (-R \'192.0.2.7/32\')">\nRedirect 403\n</If>\n'
        "</LocationMatch>\n",
    ],
)
def test_rules_that_fire_with_proxypassmatch_too(host: Host, rule: str) -> None:
    assert host.traps(BLOG + PASS_MATCH + rule) == []


@pytest.mark.parametrize(
    "rule",
    [
        FILES,
        '<FilesMatch "(?i)^xmlrpc\\.php$">\nRequire all denied\n</FilesMatch>\n',
        "<Directory BLOG>\n" + FILES + "</Directory>\n",
        "<Directory BLOG>\nRewriteEngine On\nRewriteRule ^xmlrpc\\.php$ - [F]\n</Directory>\n",
        "RedirectMatch 403 /xmlrpc\\.php\n",
    ],
)
@pytest.mark.parametrize("scope", ["vhost", "main"])
def test_rules_by_file_are_void_with_proxypassmatch(host: Host, rule: str, scope: str) -> None:
    if scope == "vhost":
        traps = host.traps(BLOG + PASS_MATCH + rule)
    else:
        traps = host.traps(BLOG + PASS_MATCH, main=rule)
    (one,) = traps
    assert (one["id"], one["server"], one["site"]) == (
        "xmlrpc_rule_never_fires",
        "httpd",
        "blog.example/",
    )
    assert "xmlrpc" in one["text"]
    assert "ProxyPassMatch at" in one["detail"]


def test_proxies_that_leave_xmlrpc_alone(host: Host) -> None:
    assert host.traps(BLOG + 'ProxyPassMatch "^/api/" "http://127.0.0.1:81/"\n' + FILES) == []
    assert host.traps(BLOG + 'ProxyPass "/xmlrpc.php" "!"\n' + PASS_MATCH + FILES) == []
    no_module = PASS_MATCH.replace("ProxyPassMatch", "ProxyPassNone")
    assert host.traps(BLOG + no_module + FILES) == []
    located = '<LocationMatch "\\.php$">\nProxyPass "fcgi://127.0.0.1:9000/srv"\n</LocationMatch>\n'
    assert ids(host.traps(BLOG + located + FILES)) == ["xmlrpc_rule_never_fires"]


def test_rewrite_rules_of_the_main_server(host: Host) -> None:
    main = "RewriteEngine On\n" + REWRITE
    assert ids(host.traps(BLOG, main=main)) == ["xmlrpc_rule_never_fires"]
    assert ids(host.traps(BLOG + "RewriteEngine On\n", main=main)) == ["xmlrpc_rule_never_fires"]
    inherit = BLOG + "RewriteEngine On\nRewriteOptions Inherit\n"
    assert host.traps(inherit, main=main) == []
    down = "RewriteOptions InheritDownBefore\n" + main
    assert host.traps(BLOG + "RewriteEngine On\n", main=down) == []
    ignoring = BLOG + "RewriteEngine On\nRewriteOptions IgnoreInherit\n"
    assert ids(host.traps(ignoring, main=down)) == ["xmlrpc_rule_never_fires"]
    # It does not reach a virtual host whose own engine is off.
    assert ids(host.traps(BLOG, main=down)) == ["xmlrpc_rule_never_fires"]
    # No virtual host: the main server is the site's.
    assert host.traps(main=BLOG + main) == []


def test_a_rewrite_rule_without_its_engine(host: Host) -> None:
    (one,) = host.traps(BLOG + REWRITE)
    assert (one["id"], one["text"]) == ("xmlrpc_rule_never_fires", REWRITE.strip())
    by_condition = "RewriteCond %{REQUEST_URI} xmlrpc\nRewriteRule .* - [F]\n"
    (one,) = host.traps(BLOG + by_condition + "RewriteRule ^/old$ /new\n")
    assert one["text"] == "RewriteRule .* - [F]"
    assert host.traps(BLOG + "RewriteRule ^/old$ /new\n") == []


def test_a_rule_in_another_virtual_host(host: Host) -> None:
    other = "ServerName other.example\nDocumentRoot /srv/none\n" + LOCATION
    (one,) = host.traps(BLOG, other)
    assert (one["id"], one["site"]) == ("xmlrpc_rule_never_fires", "blog.example/")
    assert host.traps(BLOG + LOCATION, other) == []
    assert host.traps(BLOG, other, main=LOCATION) == []
    host.htaccess("RewriteRule ^xmlrpc\\.php$ - [F]\n")
    assert host.traps(BLOG + ALLOW, other) == []


def test_where_our_own_file_closes_everything_no_rule_is_missed(host: Host) -> None:
    other = "ServerName other.example\nDocumentRoot /srv/none\n" + LOCATION
    host.htaccess("RewriteRule ^xmlrpc\\.php$ - [F]\n")
    assert ids(host.traps(BLOG)) == ["htaccess_ignored"]
    (host.base / "wpward.conf").write_text(LOCATION.replace("/xmlrpc", "/blog/xmlrpc"))
    assert host.traps(BLOG, other, main=f"Include {host.base}/wpward.conf") == []


def test_a_location_that_is_no_sites(host: Host) -> None:
    sub = "ServerName sub.example\nDocumentRoot SUB\n"
    (one,) = host.traps(sub + LOCATION)
    assert one["id"] == "xmlrpc_rule_never_fires"
    assert "/wp/xmlrpc.php" in one["detail"]
    (one,) = host.traps(sub, main=LOCATION)
    assert one["id"] == "xmlrpc_rule_never_fires"
    assert host.traps(sub, BLOG, main=LOCATION) == []
    assert ids(host.traps(BLOG + LOCATION.replace(".php", ""))) == ["xmlrpc_rule_never_fires"]
    assert host.traps(sub + LOCATION.replace("/xmlrpc", "/wp/xmlrpc")) == []
    assert host.traps(sub + LOCATION.replace("Location", "LocationMatch")) == []
    assert host.traps(sub + LOCATION.replace('"/xmlrpc', '"/*/xmlrpc')) == []


HTACCESS = "# BEGIN WordPress\n<Files xmlrpc.php>\nRequire all denied\n</Files>\n"


def test_htaccess_under_allowoverride_none(host: Host) -> None:
    host.htaccess(HTACCESS)
    (one,) = host.traps(BLOG)
    assert (one["id"], one["file"], one["line"], one["text"], one["site"]) == (
        "htaccess_ignored",
        str(host.blog / ".htaccess"),
        2,
        "<Files xmlrpc.php>",
        "blog.example/",
    )
    assert "AllowOverride is None" in one["detail"]


@pytest.mark.parametrize(
    ("main", "own", "is_read"),
    [
        (ALLOW, "", True),
        ("", ALLOW, True),
        ("<Directory />\nAllowOverride All\n</Directory>\n", "", True),
        (ALLOW.replace("All\n", "Limit FileInfo\n"), "", True),
        ("<Directory />\nAllowOverrideList Redirect\n</Directory>\n", "", True),
        # The longer path wins wherever it stands.
        (
            "<Directory BLOG>\nAllowOverride None\n</Directory>\n"
            "<Directory />\nAllowOverride All\n</Directory>\n",
            "",
            False,
        ),
        # Of equal ones the virtual host's wins.
        (ALLOW, ALLOW.replace("All\n", "None\n"), False),
        ("<Directory BLOG/wp-content>\nAllowOverride All\n</Directory>\n", "", False),
        ("<Directory BLOG2>\nAllowOverride All\n</Directory>\n", "", False),
        ("<Directory BLOG>\nRequire all granted\n</Directory>\n" + ALLOW, "", True),
        ('<Directory "/*/">\nAllowOverride All\n</Directory>\n', "", True),
    ],
)
def test_which_allowoverride_counts(host: Host, main: str, own: str, is_read: bool) -> None:
    host.htaccess(HTACCESS)
    assert ids(host.traps(BLOG + own, main=main)) == ([] if is_read else ["htaccess_ignored"])


def test_htaccess_with_proxypassmatch(host: Host) -> None:
    host.htaccess(HTACCESS)
    (one,) = host.traps(BLOG + PASS_MATCH, main=ALLOW)
    assert one["id"] == "htaccess_ignored"
    assert "ProxyPassMatch" in one["detail"]


def test_htaccess_without_rules_about_xmlrpc(host: Host) -> None:
    host.htaccess("# xmlrpc.php is closed elsewhere\nRewriteEngine On\n")
    assert host.traps(BLOG) == []


def test_htaccess_by_another_name(host: Host) -> None:
    (host.blog / ".acl").write_text(HTACCESS)
    assert host.traps(BLOG) == []
    assert ids(host.traps(BLOG, main="AccessFileName .acl\n")) == ["htaccess_ignored"]


def test_a_proxy_to_itself(host: Host) -> None:
    (one,) = host.traps(BLOG + "ProxyPass /xmlrpc.php http://127.0.0.1/xmlrpc.php\n")
    assert (one["id"], one["text"]) == (
        "self_proxy",
        "ProxyPass /xmlrpc.php http://127.0.0.1/xmlrpc.php",
    )
    other = "ServerName other.example\n"
    there = BLOG + "ProxyPass / http://{}/\n"
    assert ids(host.traps(there.format("192.0.2.7"))) == ["self_proxy"]
    assert host.traps(there.format("127.0.0.1:8080")) == []
    assert host.traps(there.format("198.51.100.1")) == []
    # The first virtual host answers 127.0.0.1, unless the client's Host header is kept.
    assert host.traps(other, there.format("127.0.0.1")) == []
    keeping = "ProxyPreserveHost On\n" + there.format("127.0.0.1")
    assert ids(host.traps(other, keeping)) == ["self_proxy"]
    elsewhere = "ProxyPass /xmlrpc.php http://127.0.0.1/index.php\n"
    assert host.traps(BLOG + elsewhere) == []
    assert host.traps(BLOG + elsewhere + "ProxyPass /index.php http://198.51.100.1/\n") == []
    # One of the main server's stands in every virtual host.
    assert ids(host.traps(other, BLOG, main="ProxyPass / http://127.0.0.1/\n")) == ["self_proxy"]


def test_logs_that_leave_xmlrpc_out(host: Host) -> None:
    mark = 'SetEnvIf Request_URI "xmlrpc" quiet\n'
    log = "CustomLog /x/access.log combined env=!quiet\n"
    (one,) = host.traps(BLOG + mark + log)
    assert (one["id"], one["text"], one["site"]) == (
        "xmlrpc_log_off",
        log.strip(),
        "blog.example/",
    )
    assert ids(host.traps(BLOG, main=mark + log)) == ["xmlrpc_log_off"]
    assert host.traps(BLOG + mark + log + "CustomLog /x/all.log combined\n") == []
    assert host.traps(BLOG + log) == []
    assert host.traps(BLOG + mark.replace("xmlrpc", "\\.css$") + log) == []


def test_buffered_logs(host: Host) -> None:
    assert ids(host.traps(BLOG, BLOG, main="BufferedLogs On\n")) == ["access_log_buffered"]
    assert host.traps(BLOG, main="BufferedLogs Off\n") == []


def test_what_is_not_understood_is_not_called_a_trap(host: Host) -> None:
    strange = '<LocationMatch "/(?>xml)(?&x)rpc">\nRequire all denied\n</LocationMatch>\n'
    assert host.traps(BLOG + strange) == []
    assert host.traps(BLOG + "ProxyPassMatch (?&x) http://127.0.0.1/\n" + FILES) == []
    assert (
        host.traps(BLOG + "<Directory>\nAllowOverride\n</Directory>\nProxyPass\nRedirect\n") == []
    )


class TestOldSyntax:
    """Directives of httpd 2.2 are read, kept and named."""

    def test_named_once_per_file(self, host: Host) -> None:
        deny = "<Directory BLOG>\nOrder allow,deny\nDeny from all\n</Directory>\n"
        traps = host.traps(BLOG + deny, BLOG.replace("blog.example", "b.example") + deny)
        assert ids(traps) == ["httpd_old_syntax"]
        (trap,) = traps
        assert (trap["line"], trap["text"], trap["site"]) == (
            7,
            "Order allow,deny",
            "blog.example/",
        )
        assert "mod_access_compat" in trap["detail"]

    def test_satisfy_any_says_what_it_does(self, host: Host) -> None:
        loose = "<Location />\nSatisfy Any\n</Location>\n"
        assert "refuses" in host.traps(BLOG, main=loose)[0]["detail"]
        assert host.traps(BLOG, main=loose)[0]["site"] is None

    def test_name_virtual_host(self, host: Host) -> None:
        (trap,) = host.traps(BLOG, main="NameVirtualHost *:80")
        assert (trap["id"], trap["line"]) == ("httpd_old_syntax", 2)

    def test_not_where_httpd_does_not_read_it(self, host: Host) -> None:
        old = "<IfModule !proxy_module>\nOrder allow,deny\n</IfModule>\n"
        assert host.traps(BLOG + old) == []

    def test_not_our_own_file(self, host: Host) -> None:
        (host.base / "wpward.conf").write_text("<Location />\nSatisfy All\n</Location>\n")
        assert host.traps(BLOG, main="Include wpward.conf") == []
