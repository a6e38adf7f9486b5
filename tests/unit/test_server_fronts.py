# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which server blocks of nginx pass which sites on to httpd, told from configuration texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    httpd_config,
    httpd_vhosts,
    nginx_config,
    nginx_vhosts,
    wordpress_discovery,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import Build
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.server_fronts import Fronts

OWN = ["192.0.2.10"]
HTTPD = """
Listen {listen}
<VirtualHost {address}>
ServerName blog.example
ServerAlias www.blog.example
DocumentRoot {base}/blog
</VirtualHost>
<VirtualHost {address}>
ServerName second.example
DocumentRoot {base}/second
</VirtualHost>
"""
DEFAULT = "server { listen 80 default_server; return 444; }"
PASS = "location / {{ proxy_pass {}; proxy_set_header Host $host; }}"


class Host:
    """Two WordPress behind httpd, and an nginx."""

    def __init__(self, base: Path) -> None:
        self.base = base
        for name in ("blog", "second"):
            (base / name / "wp-includes").mkdir(parents=True)
            (base / name / "wp-load.php").touch()
            (base / name / "wp-config.php").touch()
            (base / name / "wp-includes/version.php").write_text("<?php\n$wp_version = '6.1';\n")

    def read(
        self, nginx: str, listen: str = "127.0.0.1:8080", address: str = "*:8080"
    ) -> dict[str, list[str]]:
        """The sites by the names of the server blocks that pass them on, and in ``fronted`` the
        httpd virtual hosts that are."""
        problems = Problems()
        path = self.base / "httpd.conf"
        path.write_text(HTTPD.format(listen=listen, address=address, base=self.base))
        known = Known("/etc/httpd", "2.4.62")
        loaded = httpd_config.load(str(path), known, {})
        httpd, _formats = httpd_vhosts.find_vhosts(loaded, None, problems)
        (self.base / "nginx.conf").write_text(f"http {{ {nginx} }}")
        config = nginx_config.load(str(self.base / "nginx.conf"))
        assert config.problems == []
        prefix = str(self.base)
        build = Build("1.22.1", prefix, f"{prefix}/nginx.conf", f"{prefix}/a", f"{prefix}/e")
        vhosts = nginx_vhosts.find_vhosts(config, build, problems)
        fronts = Fronts(config, vhosts, httpd, OWN)
        self.sites = wordpress_discovery.find_sites([*vhosts, *httpd], problems, fronts.of)
        fronts.attribute(self.sites)
        self.httpd, self.nginx = httpd, vhosts
        found = {one.server_names[0]: list(one.sites) for one in vhosts if one.sites}
        found["fronted"] = [one.server_names[0] for one in httpd if one.fronted]
        return found


@pytest.fixture()
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


BLOG, SECOND = "blog.example/", "second.example/"


def server(inside: str, names: str = "blog.example", listen: str = "listen 80;") -> str:
    return f"server {{ {listen} server_name {names}; {inside} }}\n"


TOLD = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
PROXY = "proxy_pass http://127.0.0.1:8080;"


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        (f"location / {{ {PROXY} {TOLD} }}", True),
        (f"location / {{ {PROXY} }} {TOLD}", True),
        (f"location / {{ {PROXY} proxy_set_header x-forwarded-for ${{remote_addr}}; }}", True),
        (f"location / {{ {PROXY} }}", False),
        # A location that sets any header inherits none.
        (f"location / {{ {PROXY} proxy_set_header Host $host; }} {TOLD}", False),
        (f"location / {{ {PROXY} {TOLD} }} location /b/ {{ {PROXY} }}", False),
        # What the client wrote itself comes through.
        (
            f"location / {{ {PROXY} proxy_set_header X-Forwarded-For $http_x_forwarded_for; }}",
            False,
        ),
        (f"location / {{ {PROXY} proxy_set_header X-Real-IP $remote_addr; }}", False),
        (f"location /b/ {{ {PROXY} }} location / {{ return 403; }}", False),
        ("location / { return 403; }", False),
    ],
)
def test_whether_httpd_is_told_who_asks(host: Host, inside: str, told: bool) -> None:
    host.read(f"server {{ listen 80; server_name blog.example; {inside} }}")
    assert host.nginx[0].describe()["tells_client"] is told


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:8080",
        "http://localhost:8080",
        "http://127.0.0.1:8080$request_uri",
        "$scheme://127.0.0.1:8080",
        "http://behind",
        "http://$behind:8080",
    ],
)
def test_a_site_belongs_to_the_server_block_that_passes_it_on(host: Host, target: str) -> None:
    both = (
        "upstream behind { keepalive 2; server 127.0.0.1:8080 weight=2; }"
        + server("set $behind 127.0.0.1;" + PASS.format(target))
        + server("set $behind 127.0.0.1;" + PASS.format(target), "second.example")
    )
    assert host.read(both) == {
        "blog.example": [BLOG],
        "second.example": [SECOND],
        "fronted": ["blog.example", "second.example"],
    }
    (blog, second) = host.sites
    assert [one.partition(":")[0] for one in blog.vhosts] == ["nginx", "httpd"]
    assert (blog.id, second.id) == (BLOG, SECOND), "the port is that of the front"
    assert host.nginx[0].describe()["fronts"] == [host.httpd[0].id]


@pytest.mark.parametrize(
    ("listen", "address", "target"),
    [
        ("8080", "*:8080", "http://127.0.0.1:8080"),
        ("8080", "*:8080", "http://192.0.2.10:8080"),
        ("192.0.2.10:8080", "192.0.2.10:8080", "http://192.0.2.10:8080"),
        ("[::1]:8080", "*:8080", "http://[::1]:8080"),
    ],
)
def test_addresses_of_this_host(host: Host, listen: str, address: str, target: str) -> None:
    found = host.read(DEFAULT + server(PASS.format(target)), listen, address)
    assert found == {"blog.example": [BLOG], "fronted": ["blog.example"]}


@pytest.mark.parametrize(
    "inside",
    [
        "",
        PASS.format("http://127.0.0.1:8081"),
        PASS.format("http://192.0.2.99:8080"),
        PASS.format("http://unix:/run/app.sock:/"),
        "location / { fastcgi_pass 127.0.0.1:8080; }",
        "location / { return 301 http://127.0.0.1:8080; }",
    ],
)
def test_what_leads_elsewhere_is_no_front(host: Host, inside: str) -> None:
    assert host.read(server(inside)) == {"fronted": []}
    assert [site.id for site in host.sites] == ["blog.example:8080/", "second.example:8080/"]


def test_one_front_for_every_name(host: Host) -> None:
    found = host.read(server(PASS.format("http://127.0.0.1:8080"), "_"))
    assert found == {"_": [BLOG, SECOND], "fronted": ["blog.example", "second.example"]}


def test_a_name_that_no_server_block_has_comes_to_the_default(host: Host) -> None:
    """second.example is asked for by its name at the only server block there is."""
    found = host.read(server(PASS.format("http://127.0.0.1:8080")))
    assert found["blog.example"] == [BLOG, SECOND]
    found = host.read(DEFAULT + server(PASS.format("http://127.0.0.1:8080")))
    assert found == {"blog.example": [BLOG], "fronted": ["blog.example"]}


def test_wildcards(host: Host) -> None:
    passing = PASS.format("http://127.0.0.1:8080")
    found = host.read(DEFAULT + server(passing, "*.blog.example") + server("", "second.example"))
    assert found["*.blog.example"] == [BLOG]
    found = host.read(DEFAULT + server(passing, ".second.example"))
    assert found[".second.example"] == [BLOG, SECOND], "who asks for another name gets the default"


@pytest.mark.parametrize(
    ("header", "site"),
    [
        ("", BLOG),  # httpd is asked for 127.0.0.1 and takes its default
        ("proxy_set_header Host second.example;", SECOND),
        ("proxy_set_header X-Real-IP $remote_addr;", BLOG),
    ],
)
def test_the_name_that_httpd_is_asked_by_decides(host: Host, header: str, site: str) -> None:
    inside = f"location / {{ proxy_pass http://127.0.0.1:8080; {header} }}"
    assert host.read(server(inside, "front.example"))["front.example"] == [site]


def test_a_port_after_the_name(host: Host) -> None:
    for header in ("$host:$server_port", "$http_host", "$host:8443"):
        inside = (
            f"location / {{ proxy_pass http://127.0.0.1:8080; proxy_set_header Host {header}; }}"
        )
        assert host.read(DEFAULT + server(inside))["blog.example"] == [BLOG]


def test_headers_that_are_set_for_all_servers(host: Host) -> None:
    nginx = "proxy_set_header Host second.example;" + server(
        "location / { proxy_pass http://127.0.0.1:8080; }", "front.example"
    )
    assert host.read(nginx)["front.example"] == [SECOND]
    # A location that sets any header inherits none.
    own = nginx.replace("8080;", "8080; proxy_set_header X-Real-IP $remote_addr;")
    assert host.read(own)["front.example"] == [BLOG]


@pytest.mark.parametrize(
    "inside",
    [
        "root /srv; location / {{ try_files $uri @behind; }} location @behind {{ {} }}",
        "root /srv; error_page 404 = @behind; location @behind {{ {} }}",
        "root /srv; location ~ \\.php$ {{ {} }}",
        "location ~* \\.(css|js)$ {{ root /srv; }} location / {{ {} }}",
        "location / {{ if ($scheme = http) {{ {} }} }}",
        "location ~ (?(R)a|b) {{ root /srv; }} location / {{ {} }}",
    ],
)
def test_forms_of_a_front(host: Host, inside: str) -> None:
    passing = "proxy_pass http://127.0.0.1:8080; proxy_set_header Host $host;"
    found = host.read(DEFAULT + server(inside.format(passing)))
    assert found == {"blog.example": [BLOG], "fronted": ["blog.example"]}


def test_where_the_path_changes_both_servers_close(host: Host) -> None:
    inside = "location /blog/ { proxy_pass http://127.0.0.1:8080/; proxy_set_header Host $host; }"
    assert host.read(server(inside)) == {"fronted": []}
    straight = server(PASS.format("http://127.0.0.1:8080"), listen="listen 443 ssl;")
    assert host.read(straight + server(inside))["fronted"] == []


def test_where_a_proxy_may_lead_anywhere_both_servers_close(host: Host) -> None:
    unknown = server("location / { proxy_pass http://$anything; }", "other.example")
    found = host.read(server(PASS.format("http://127.0.0.1:8080")) + unknown)
    assert found["blog.example"] == [BLOG, SECOND]
    assert found["fronted"] == []


def test_a_host_with_hundreds_of_virtual_hosts(tmp_path: Path) -> None:
    names = [f"s{number}.example" for number in range(400)]
    (tmp_path / "httpd.conf").write_text(
        "Listen 127.0.0.1:8080\n"
        + "".join(f"<VirtualHost *:8080>\nServerName {n}\n</VirtualHost>\n" for n in names)
    )
    (tmp_path / "nginx.conf").write_text(
        "http { proxy_set_header Host $host;\n"
        + "".join(
            f"server {{ server_name {n} *.{n};\n"
            + "".join(f"location /{i} {{ proxy_pass http://127.0.0.1:8080; }}\n" for i in "abcde")
            + "}\n"
            for n in names
        )
        + "}"
    )
    problems = Problems()
    loaded = httpd_config.load(str(tmp_path / "httpd.conf"), Known("/etc/httpd", "2.4.62"), {})
    httpd, _formats = httpd_vhosts.find_vhosts(loaded, None, problems)
    config = nginx_config.load(str(tmp_path / "nginx.conf"))
    build = Build("1.22.1", str(tmp_path), "/none", "/none", "/none")
    vhosts = nginx_vhosts.find_vhosts(config, build, problems)
    Fronts(config, vhosts, httpd, OWN)
    assert [len(one.fronts) for one in vhosts[1:]] == [2] * 399
