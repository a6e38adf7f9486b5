# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The reading of httpd's configuration against the httpd that loads the same files."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    httpd_config,
    httpd_layout,
    httpd_vhosts,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from testbed import hosts, podman

from .conftest import MakeHost, Playbook

MODULES = "/usr/lib/apache2/modules"
# Everything is written and read at the same place here and there.
HEAD = f"""ServerRoot {{base}}
LoadModule mpm_event_module {MODULES}/mod_mpm_event.so
LoadModule authz_core_module {MODULES}/mod_authz_core.so
LoadModule alias_module {MODULES}/mod_alias.so
Listen 127.0.0.1:8099
Listen 8098
ServerName main.example
PidFile {{base}}/pid
ErrorLog {{base}}/error.log
"""
DUMP = """
import json, pathlib, subprocess, sys
configurations, answers = json.load(sys.stdin), []
for base, files in configurations:
    for name, text in files.items():
        path = pathlib.Path(base, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1"))
    link = pathlib.Path(base, "link.d")
    link.is_symlink() or link.symlink_to("extra.d")
    argv = ["/usr/sbin/apache2", "-d", base, "-f", base + "/httpd.conf", "-t", "-D", "DUMP_VHOSTS"]
    argv += ["-D", "DUMP_INCLUDES", "-D", "DUMP_RUN_CFG", "-D", "GIVEN"]
    done = subprocess.run(argv, capture_output=True, env={"OUTER": "outer value", "PATH": "/bin"})
    answers.append([done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")])
print(json.dumps(answers))
"""
NAMES = ["a.example", "b.example", '"c.example"', "'d.example'", "${ONE}.example", "E.example:81"]
ALIASES = [
    "x",
    '"y z"',
    "${TWO}",
    '"${TWO}"',
    "$${ONE}",
    "${NONE}",
    "'q''r'",
    'a"b',
    r"s\\t",
    r"u\v",
]
ALIASES += [r'"\"w\\"', "x#y", "${OUTER}", "\\\n  k", "l\\\\\nm", '"open', "${", "n\t\v\fo"]
ADDRESSES = ["*:8099", "*", "_default_:8098", "127.0.0.1:8099", "[::1]:81", "192.0.2.1 *:8098"]
ADDRESSES += ["${PORT}", '"*:8098"', "*:*"]
CONDITIONS = ["IfModule alias_module", "IfModule mod_alias.c", "IfModule !mod_nope.c"]
CONDITIONS += ["IfModule event.c", "IfModule prefork.c", "IfModule mod_so.c", "IfModule core.c"]
CONDITIONS += ["IfModule http_core.c", "IfModule mpm_event_module", "IfModule mod_mpm_event.c"]
CONDITIONS += ["IfDefine GIVEN", "IfDefine !GIVEN", "IfDefine ONE", "IfDefine NONE"]
CONDITIONS += ["IfVersion >= 2.4", "IfVersion < 2.4.10", "IfVersion = /^2\\.4/", "IfVersion !~ ^3"]
CONDITIONS += ["IfFile httpd.conf", "IfFile !httpd.conf", 'IfModule "alias_module"']
INCLUDES = ["conf.d/*.conf", "conf.d", "conf.[d]/b*", "IncludeOptional gone.conf", "conf.d/a.conf"]
INCLUDES += ["IncludeOptional gone/*.conf", "{base}/conf.d/*.off", "c*.d/sub"]
PLACES = ["IncludeOptional extra.d/*.conf", "IncludeOptional {base}/link.d/*", "Include extra.d"]
PLACES += ['IncludeOptional "more d/w*.conf"', "IncludeOptional 'more d/[!w]*.conf'"]
PLACES += ["IncludeOptional extra.d/wpward.conf", "IncludeOptional e*.d/*.conf"]
MAIN_SCOPE_ONLY = "Listen 127.0.0.1:8097\n"
"""httpd refuses this within every section, and the second time at main scope too."""


class Writer:
    """Writes configurations that httpd is likely to take."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def case(self, name: str) -> str:
        return self.random.choice([name, name.lower(), name.upper()])

    def define(self) -> str:
        name = self.random.choice(["ONE", "TWO"])
        value = self.random.choice(["one", '"two words"', "${ONE}3", "'\"'", "${TWO}"])
        if self.random.random() < 0.2:
            return f"{self.case('UnDefine')} {name}\n"
        return f"{self.case('Define')} {name} {value}\n"

    def inside(self) -> str:
        text = ""
        for _number in range(self.random.randrange(2)):
            aliases = " ".join(self.random.choices(ALIASES, k=self.random.randrange(1, 4)))
            text += self.random.choice(
                [
                    f"  {self.case('ServerAlias')} {aliases}\n",
                    self.define(),
                    "# a comment \\\n ServerAlias commented\n",
                    "<Directory />\n" + self.define() + "</Directory>\n",
                    self.conditional("ServerAlias cond\n"),
                    "Include inside.inc\n",
                    f"{self.random.choice(PLACES)}\n",
                ]
            )
        return text

    def vhost(self) -> str:
        name = self.random.choice(NAMES)
        given = f"{self.case('ServerName')} {name}\n" if self.random.random() < 0.9 else ""
        section = self.case("VirtualHost")
        address = self.random.choice(ADDRESSES)
        return f"<{section} {address}>\n{given}{self.inside()}</{self.case(section)}>\n"

    def conditional(self, text: str) -> str:
        condition = self.random.choice(CONDITIONS)
        return f"<{condition}>\n{text}</{condition.split()[0]}>\n"

    def text(self, base: str, depth: int = 0) -> str:
        text = ""
        for _number in range(self.random.randrange(1, 6)):
            choice = self.random.random()
            if choice < 0.15 and not depth:
                place = self.random.choice(PLACES) + "\n"
                text += place if choice < 0.1 else self.conditional(place)
            elif choice < 0.45:
                text += self.vhost()
            elif choice < 0.6:
                text += self.define()
            elif choice < 0.8 or depth:
                text += self.conditional(self.vhost())
            else:
                include = self.random.choice(INCLUDES).replace("{base}", base)
                text += f"{include}\n" if " " in include else f"Include {include}\n"
        return text

    def configuration(self, base: str) -> dict[str, str]:
        head = HEAD.format(base=base) + "Define ONE first\nDefine TWO second\nDefine PORT *:8099\n"
        return {
            "httpd.conf": head + self.text(base),
            "inside.inc": "ServerAlias included.example\n",
            "conf.d/a.conf": self.text(base, 1),
            "conf.d/b.conf": self.text(base, 1).replace("\n", "\r\n"),
            "conf.d/.hidden.conf": self.text(base, 1),
            "conf.d/c.off": "# \xe9\n" + self.vhost() + "# the end without a newline",
            "conf.d/sub/deep": self.vhost(),
            "extra.d/kept.txt": "# nothing\n",
            "more d/kept.txt": "# nothing\n",
        }


def theirs(dump: str) -> dict[str, Any]:
    """What -D DUMP_VHOSTS, DUMP_INCLUDES and DUMP_RUN_CFG say. A file that is included twice may
    have given a virtual host another name the second time."""
    vhosts: dict[tuple[str, int], list[tuple[str, list[str] | None]]] = {}
    aliases: list[str] = []
    for line in dump.split("\n"):
        alone = re.match(r"\S+ +(?!is a )(\S+) \((/.*):(\d+)\)$", line)
        named = re.match(r" +port \S+ namevhost (\S+) \((/.*):(\d+)\)$", line)
        alias = re.match(r" {9,}(?:wild )?alias (.*)$", line)
        if named:
            aliases = []
            place = named.group(2), int(named.group(3))
            vhosts.setdefault(place, []).append((named.group(1), aliases))
        elif alone:
            place = alone.group(2), int(alone.group(3))
            vhosts.setdefault(place, []).append((alone.group(1), None))
        elif alias:
            aliases.append(alias.group(1))
    files = re.findall(r"^ +\((?:\*|\d+)\) (.*)$", dump, re.MULTILINE)
    return {"vhosts": vhosts, "files": set(files)}


def load(base: str) -> httpd_config.Config:
    known = Known("/etc/apache2", "2.4.62", defines={"GIVEN": None})
    known.load_static(["core_module", "so_module", "http_module", "log_config_module"])
    return httpd_config.load(f"{base}/httpd.conf", known, {"OUTER": "outer value"})


def ours(base: str) -> dict[str, Any]:
    config = load(base)
    vhosts, _formats = httpd_vhosts.find_vhosts(config, None, Problems())
    found = {}
    for one in vhosts:
        if one.line:
            given = [word for part in one.own if part.name == "serveralias" for word in part.args]
            names = [name for name in one.server_names[:1] if name not in given]
            found[one.file, one.line] = names, given
    return {"vhosts": found, "files": set(config.files)}


@pytest.fixture(scope="module")
def host(make_host: MakeHost) -> hosts.Host:
    return make_host("dumps", web="httpd")


def dump(
    host: hosts.Host, configurations: list[tuple[str, dict[str, str]]]
) -> list[tuple[int, str, str]]:
    """Write each on the host and ask httpd there: its status, its dump, its messages."""
    answers = podman.execute(
        host.container, ["python3", "-c", DUMP], stdin=json.dumps(configurations)
    )
    found: list[tuple[int, str, str]] = json.loads(answers)
    return found


def write(directory: Path, seed: int) -> list[tuple[str, dict[str, str]]]:
    """The same configurations here, where we read them."""
    configurations: list[tuple[str, dict[str, str]]] = []
    for number in range(100):
        base = str(directory.resolve() / str(number))
        files = Writer(f"{seed}.{number}").configuration(base)
        for name, text in files.items():
            path = Path(base, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("latin-1"))
        Path(base, "link.d").symlink_to("extra.d")
        configurations.append((base, files))
    return configurations


@pytest.mark.parametrize("seed", range(2))
def test_httpd_loads_the_same(host: hosts.Host, tmp_path: Path, seed: int) -> None:
    configurations = write(tmp_path, seed)
    accepted = named = 0
    placed: list[tuple[str, dict[str, str]]] = []
    for (base, _files), (code, answer, _message) in zip(
        configurations, dump(host, configurations), strict=True
    ):
        mine = ours(base)
        if code:
            # Such as a Define of three words, which is nothing to read differently.
            continue
        accepted += 1
        their = theirs(answer)
        place = httpd_layout.find_place(load(base))
        if place is not None:
            placed.append((base, {place.file: MAIN_SCOPE_ONLY}))
        assert mine["files"] == their["files"]
        assert mine["vhosts"].keys() == their["vhosts"].keys()
        for where, told in their["vhosts"].items():
            my_names, my_aliases = mine["vhosts"][where]
            # Without a name, and with an address of its own, it has that of reverse DNS.
            assert any(
                my_names in ([name], []) and aliases in (None, my_aliases) for name, aliases in told
            ), where
            named += len(my_names)
    assert accepted > 60
    assert named > 100
    for (base, files), (code, answer, message) in zip(placed, dump(host, placed), strict=True):
        (path,) = files
        assert code == 0, (base, path, message)
        name = Path(path).name
        read = [file for file in theirs(answer)["files"] if Path(file).name == name]
        assert len(read) == 1, (base, path, answer)
    assert len(placed) > 10


ODD = r"""
vhost() { printf '<VirtualHost %s>\n ServerName %s.example\n DocumentRoot /var/www/blog\n' "$1" "$2"
          printf '%b</VirtualHost>\n' "${3:-}"; }
cd /etc/apache2
mkdir -p /srv/outside 'dir with space' sites.d/one sites.d/two plain.d/deep
vhost '*:80' linked > /srv/outside/linked.conf
ln -s /srv/outside/linked.conf sites-available/linked.conf
ln -s ../sites-available/linked.conf sites-enabled/linked.conf
printf '# caf\351 \377\nListen [::1]:8085\n' > sites-enabled/six.conf
vhost '[::1]:8085' six ' ServerAlias caf\0351.example\n' >> sites-enabled/six.conf
vhost '*:80' latin > "sites-enabled/$(printf 'lat\351').conf"
printf 'NameVirtualHost *:80\n' > sites-enabled/old.conf
vhost '*:80' old ' <Location /private>\n Order allow,deny\n Deny from all\n </Location>\n' \
    >> sites-enabled/old.conf
vhost '*:80' one > sites.d/one/vhost.conf
vhost '*:80' two > sites.d/two/vhost.conf
vhost '*:80' space > 'dir with space/x y.conf'
vhost '*:80' deep > plain.d/deep/noext
cat >> apache2.conf <<'END'
IncludeOptional sites.d/*/vhost.conf
Include "dir with space/*.conf"
Include plain.d
IncludeOptional /nowhere/*.conf
END
systemctl reload apache2
"""


def test_an_awkward_configuration_is_read_as_httpd_reads_it(
    host: hosts.Host, playbook: Playbook
) -> None:
    podman.execute(host.container, ["sh", "-ec", ODD])
    (report,) = playbook(host, "probe").proven().reports.values()
    evidence = report["evidence"]
    # httpd's own dump is the judge: no httpd_files_differ, no httpd_vhosts_differ.
    assert {one["id"] for one in evidence["problems"]} == {"name_not_utf8"}
    named = {name for one in evidence["vhosts"] for name in one["server_names"]}
    odd = ["linked", "six", "latin", "old", "one", "two", "space", "deep", "caf\\xe9"]
    assert named >= {f"{name}.example" for name in odd}
    files = {name: one["file"] for one in evidence["vhosts"] for name in one["server_names"]}
    assert files["linked.example"] == "/srv/outside/linked.conf"
    (six,) = [one for one in evidence["vhosts"] if "six.example" in one["server_names"]]
    assert [(one["address"], one["port"]) for one in six["listens"]] == [("::1", 8085)]
    traps = [(one["id"], one["text"]) for one in evidence["traps"]]
    assert sorted(traps) == [
        ("httpd_old_syntax", "NameVirtualHost *:80"),
        ("httpd_old_syntax", "Order allow,deny"),
    ]

    httpd = evidence["httpd"]
    assert httpd["layout"] == "debian"
    assert httpd["conf_file"] == "/etc/apache2/conf-available/wpward.conf"
    assert httpd["conf_link"] == "/etc/apache2/conf-enabled/wpward.conf"
    assert httpd["wpward"] is None
    # Each command by itself, and without a variable, as the transaction runs it.
    for words in httpd["control"].values():
        podman.execute(host.container, ["env", "-i", "PATH=/usr/sbin:/usr/bin:/bin", *words])
