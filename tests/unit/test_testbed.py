# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of the test bed that need no container."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from testbed import cli, hosts, images, memory, podman, prerequisites, shell, virtual_hosts
from testbed.constants import LABEL, MORE_VHOSTS, SITES, USERS, VHOSTS, WEB_SERVERS, site_data

TESTBED = Path(images.__file__).parent


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WPWARD_CACHE", str(tmp_path))
    return tmp_path / "testbed"


def test_content_hash_sees_names_contents_and_their_border() -> None:
    base = images.content_hash([("a", b"1"), ("b", b"2")])
    assert base == images.content_hash([("b", b"2"), ("a", b"1")])
    assert base != images.content_hash([("a", b"1"), ("b", b"3")])
    assert base != images.content_hash([("a", b"1"), ("c", b"2")])
    assert images.content_hash([("ab", b"c")]) != images.content_hash([("a", b"bc")])


def test_web_tag_changes_with_every_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(TESTBED, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(images, "HERE", copy)
    tags = [images.web_tag("bookworm", "nginx")]
    assert tags == [images.web_tag("bookworm", "nginx")]
    tags.append(images.web_tag("trixie", "nginx"))
    for path in ("nginx/blog", "image/nginx/Containerfile", "image/base/sshd.conf"):
        with (copy / path).open("a") as handle:
            handle.write("\n")
        tags.append(images.web_tag("bookworm", "nginx"))
    (copy / "image/nginx/wordpress/build-site").chmod(0o644)
    tags.append(images.web_tag("bookworm", "nginx"))
    monkeypatch.setattr(images, "_site_json", lambda: b"{}")
    tags.append(images.web_tag("bookworm", "nginx"))
    assert len(set(tags)) == len(tags)


def test_unknown_suite_and_web_server_are_named() -> None:
    with pytest.raises(shell.TestbedError, match="suite 'sid' is not one of bullseye"):
        images.web_image("sid", "nginx")
    with pytest.raises(shell.TestbedError, match="web server 'lighttpd' is not one of nginx"):
        images.web_image("bookworm", "lighttpd")


def test_an_image_goes_with_the_one_it_is_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(TESTBED, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(images, "HERE", copy)

    def tags() -> list[str]:
        return [images.web_tag("bookworm", web) for web in ("nginx", "httpd", "httpd-prefork")]

    before = tags()
    assert len(set(before)) == 3
    with (copy / "httpd/blog.conf").open("a") as handle:
        handle.write("\n")
    changed = [old != new for old, new in zip(before, tags(), strict=True)]
    assert changed == [False, True, True]


PROGRAMS = {program.folder: program for web in WEB_SERVERS.values() for program in web.programs}


@pytest.mark.parametrize("folder", PROGRAMS)
def test_every_vhost_has_a_file_and_every_file_is_known(folder: str) -> None:
    suffix = PROGRAMS[folder].suffix
    files = {path.name.removesuffix(suffix) for path in (TESTBED / folder).iterdir()}
    assert files <= {"blog", *VHOSTS, *MORE_VHOSTS}
    if folder in WEB_SERVERS:
        assert files == {"blog", *VHOSTS}


@pytest.mark.parametrize("folder", ["nginx", "httpd"])
def test_vhosts_serve_the_sites_that_the_build_installs(folder: str) -> None:
    text = "\n".join(path.read_text() for path in (TESTBED / folder).iterdir()).lower()
    for site in SITES:
        served = site.docroot.removesuffix("/blog") if "/sub/" in site.docroot else site.docroot
        assert re.search(rf"root {re.escape(served)};?\n", text)


def test_site_data_is_json_with_one_administrator_first() -> None:
    data = json.loads(json.dumps(site_data()))
    assert data["users"][0]["role"] == "administrator"
    assert [user["login"] for user in data["users"]] == [user.login for user in USERS]
    assert "display_name" not in data["users"][1]
    prefixes = [site["prefix"] for site in data["sites"]]
    assert len(set(prefixes)) == len(prefixes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("blog", []),
        ("tls,second", ["second", "tls"]),
        (" twin  sub,,sub ", ["sub", "twin"]),
    ],
)
def test_parse_vhosts(text: str, expected: list[str]) -> None:
    assert virtual_hosts.parse(text) == expected


def test_parse_vhosts_names_the_unknown_one() -> None:
    with pytest.raises(shell.TestbedError, match="vhost 'third' is not one of second"):
        virtual_hosts.parse("tls,third")


def test_a_web_server_says_which_vhost_it_does_not_have() -> None:
    virtual_hosts.check("mixed", ["tls", "direct"])
    virtual_hosts.check("nginx", ["tls", "socket"])
    with pytest.raises(shell.TestbedError, match="web server mixed has no vhost 'pathinfo'"):
        virtual_hosts.check("mixed", ["tls", "pathinfo"])
    with pytest.raises(shell.TestbedError, match="web server httpd-rhel has no vhost 'network'"):
        virtual_hosts.check("httpd-rhel", ["network"])


def test_more_vhosts_are_files_of_known_names() -> None:
    known = {program.more for web in WEB_SERVERS.values() for program in web.programs}
    folders = [path for path in (TESTBED / "more").iterdir() if path.is_dir()]
    assert {folder.name for folder in folders} == set(MORE_VHOSTS) - {"direct"}
    for folder in folders:
        assert {path.name for path in folder.iterdir()} <= {*known, "prepare"}


def test_a_host_is_made_anew_when_a_file_of_its_more_vhosts_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "more"
    shutil.copytree(TESTBED / "more", copy)
    monkeypatch.setattr(virtual_hosts, "MORE", copy)
    plain, before = (virtual_hosts.fingerprint(names) for names in (["tls"], ["tls", "pair"]))
    with (copy / "sites.sh").open("a") as handle:
        handle.write("\n")
    assert virtual_hosts.fingerprint(["tls"]) == plain
    assert virtual_hosts.fingerprint(["tls", "pair"]) not in (plain, before)


@pytest.mark.parametrize("name", ["", "-x", "Web", "a/b", "a b", "x" * 41, "web\n"])
def test_container_name_refuses(name: str) -> None:
    with pytest.raises(shell.TestbedError, match="is no host name"):
        hosts.container_name(name)


def test_container_name() -> None:
    assert hosts.container_name("web-1") == "wpward-web-1"


@pytest.mark.parametrize(
    ("taken", "count", "after", "expected"),
    [
        ([], 1, 0, 10),
        ([10, 11], 1, 0, 12),
        ([], 1, 10, 11),
        ([], 1, 19, 10),
        ([12], 3, 0, 13),
        ([], 3, 17, 10),
    ],
)
def test_free_number(taken: list[int], count: int, after: int, expected: int) -> None:
    assert hosts.free_number(range(10, 20), taken, count, after) == expected


def test_free_number_says_when_the_network_is_full() -> None:
    with pytest.raises(shell.TestbedError, match="no 3 free address"):
        hosts.free_number(range(10, 14), [11], 3)


def test_next_number_does_not_give_out_a_freed_number_at_once(cache: Path) -> None:
    numbers = [hosts.next_number(range(10, 13), []) for _ in range(4)]
    assert numbers == [10, 11, 12, 10]
    assert hosts.next_number(range(100, 120), [], 5) == 100
    assert hosts.next_number(range(100, 120), [], 5) == 105


def _container(network: str, number: int, count: int | None = None) -> dict[str, Any]:
    labels = {LABEL: "host", f"{LABEL}.network": network, f"{LABEL}.number": str(number)}
    if count:
        labels[f"{LABEL}.count"] = str(count)
    return {"Config": {"Labels": labels}}


def test_numbers_in_use_counts_this_network_only() -> None:
    containers = [_container("one", 10), _container("two", 11), _container("one", 100, 3)]
    assert hosts.numbers_in_use(containers, "one") == {10, 100, 101, 102}


NETWORK = podman.Network(
    "net", ipaddress.IPv4Network("192.0.2.0/24"), ipaddress.IPv6Network("2001:db8::/64")
)


def test_addresses_go_with_the_number() -> None:
    assert hosts.addresses(NETWORK, 16) == ("192.0.2.16", "2001:db8::10")
    arguments = hosts.address_arguments(NETWORK, 16)
    assert arguments[arguments.index("--mac-address") + 1] == "02:77:70:00:00:10"
    plain = podman.Network("net", NETWORK.subnet, None)
    assert "--ip6" not in hosts.address_arguments(plain, 16)


def test_inventory_is_yaml_that_reaches_the_host_by_its_own_key(tmp_path: Path) -> None:
    text = hosts.inventory("0123", "192.0.2.16", tmp_path / "folder", tmp_path / "key")
    assert text.startswith("---\n")
    [(name, variables)] = yaml.safe_load(text)["wordpress"]["hosts"].items()
    assert name == "0123"
    assert variables["ansible_host"] == "192.0.2.16"
    assert variables["ansible_ssh_private_key_file"] == str(tmp_path / "key")
    assert (
        f"-o UserKnownHostsFile={tmp_path / 'folder' / 'known_hosts'}"
        in (variables["ansible_ssh_common_args"])
    )


def test_runtime_is_chosen_by_what_the_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = {"crun"}
    monkeypatch.setattr(shutil, "which", lambda name: name if name in installed else None)
    runc = ["--runtime", "runc"]
    assert podman.runtime_arguments(tmp_path) == runc
    (tmp_path / "cgroup.controllers").touch()
    assert podman.runtime_arguments(tmp_path) == []
    installed.clear()
    assert podman.runtime_arguments(tmp_path) == runc


def test_limits_are_passed_only_where_they_cannot_be_raised(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapEff:\t000001ffffffffff\n")
    assert podman.limit_arguments(status) == []
    status.write_text("Name:\tx\nCapEff:\t000001fffeffffff\n")
    arguments = podman.limit_arguments(status)
    assert [argument.split("=")[0] for argument in arguments[1::2]] == ["nofile", "nproc"]


def test_memory_is_a_size_and_comes_without_swap() -> None:
    assert memory.limit_arguments(None) == memory.limit_arguments("") == []
    assert memory.limit_arguments("700m") == ["--memory", "700m", "--memory-swap", "700m"]
    for text in ("700", "700M", "1.5g", "0m", "-1g", "lots"):
        with pytest.raises(shell.TestbedError, match=f"memory '{text}' is no size"):
            memory.limit_arguments(text)
    with pytest.raises(shell.TestbedError, match="memory 255m is too little for a host"):
        memory.limit_arguments("255m")


def test_memory_is_counted_alike_by_both_versions_of_cgroups(tmp_path: Path) -> None:
    def write(folder: str, **files: str) -> Path:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (tmp_path / folder / f"memory.{name}").write_text(f"{text}\n")
        return tmp_path / folder.split("/")[0]

    killed = "oom_kill_disable 0\nunder_oom 0\noom_kill 3"
    one = write("v1/memory", limit_in_bytes="734003200", usage_in_bytes="9", oom_control=killed)
    killed = "low 0\nhigh 0\nmax 12\noom 4\noom_kill 3\noom_group_kill 0"
    two = write("v2", max="734003200", current="9", events=killed)
    assert memory.read(one) == memory.read(two) == memory.Counters(734003200, 9, oom_kills=3)
    write("v1/memory", limit_in_bytes="9223372036854771712")
    write("v2", max="max")
    assert memory.read(one) == memory.read(two) == memory.Counters(None, 9, oom_kills=3)


def test_a_host_with_other_memory_is_made_anew() -> None:
    labels = {LABEL: "host", f"{LABEL}.network": "net", f"{LABEL}.memory": ""}

    def reusable(**have: str) -> bool:
        more = {f"{LABEL}.{key}": value for key, value in have.items()}
        found = {"Config": {"Labels": {LABEL: "host", f"{LABEL}.network": "net", **more}}}
        return hosts._reusable(found, labels, "net")

    assert reusable(memory="") and reusable()
    assert not reusable(memory="700m")


def test_run_tells_what_failed_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(shell.TestbedError, match=r"failed with 3:\nno such thing"):
        shell.run(["sh", "-c", "echo no such thing >&2; exit 3"])
    with pytest.raises(shell.TestbedError, match="no-such-program is not installed"):
        shell.run(["no-such-program"])
    with pytest.raises(shell.TestbedError, match=r"did not end within 0\.1 s"):
        shell.run(["sleep", "5"], timeout=0.1)
    log = tmp_path / "log"
    with pytest.raises(shell.TestbedError, match=f"all of it in {log}"):
        shell.run(["sh", "-c", "echo gone; exit 1"], log=log)
    assert log.read_text() == "gone\n"


def test_cache_is_shared_by_checkouts_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    assert shell.cache_dir() == cache
    monkeypatch.delenv("WPWARD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert shell.cache_dir() == tmp_path / "xdg" / "wpward" / "testbed"


def test_without_root_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cli.main(["status"]) == 1
    assert capsys.readouterr().err == (
        "testbed: test hosts are system containers and need root; run this with sudo\n"
    )


def test_setup_installs_only_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "require_root", lambda: None)
    monkeypatch.setattr(prerequisites, "missing_packages", list)
    assert prerequisites.setup() == []


def test_a_container_of_somebody_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "web_image", lambda suite, web: "image")
    monkeypatch.setattr(podman, "network", lambda name, create: NETWORK)
    monkeypatch.setattr(podman, "inspect", lambda container: {"Config": {"Labels": {}}})
    with pytest.raises(shell.TestbedError, match="exists and is not the test bed's"):
        hosts.up("web1", reset=True)
    assert hosts.down(["web1"]) == []
