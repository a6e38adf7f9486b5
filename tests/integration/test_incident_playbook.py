# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""incident.yml on a real host: first aid, evidence, hardening; a second time; its steps alone."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testbed import hosts, podman

MakeHost = Callable[..., hosts.Host]
Tree = Callable[[hosts.Host], str]
ROOT = Path(__file__).resolve().parents[2]
SECRET = "tr0ub4dor-and-3"
LOGS = "/srv/site/logs"
# A user of the host has a directory of logs, and names in it for what only root may read.
PLANTED = f"""
set -eu
useradd --no-create-home site
mkdir -p {LOGS}
echo 'a line' > {LOGS}/access.log.3
ln -s /etc/shadow {LOGS}/access.log.1
mkfifo {LOGS}/access.log.2
chown -hR site: /srv/site
sed -i 's#access_log .*#access_log {LOGS}/access.log;#' /etc/nginx/sites-available/second
sed -i 's#index index.php;#&\\n location /x/ {{ auth_basic_user_file /etc/nginx/.htpasswd; }}#' \
    /etc/nginx/sites-available/second
nginx -s reload
echo 'site:{SECRET}' > /etc/nginx/.htpasswd
printf '[client]\\npassword = {SECRET}\\n' > /etc/mysql/conf.d/secret.cnf
echo 'env[DB_PASSWORD] = {SECRET}' >> /etc/php/8.2/fpm/pool.d/www.conf
sed -i 's/^<?php/&\\n$secret = "{SECRET}";/' /var/www/blog/wp-config.php
"""


def inside(host: hosts.Host, *argv: str, stdin: str | None = None) -> str:
    output: str = podman.execute(host.container, list(argv), stdin=stdin)
    return output


def kept(tmp_path: Path) -> list[Path]:
    """The hosts' directories of evidence, in the order of the runs."""
    return sorted((tmp_path / "reports").glob("*/evidence/*"))


def until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def left_on(host: hosts.Host) -> str:
    return inside(host, "find", "/root/.ansible", "-path", "*tmp/*")


@pytest.fixture(scope="module")
def host(make_host: MakeHost) -> hosts.Host:
    made = make_host("inc-nginx", vhosts=["second"])
    inside(made, "bash", "-s", stdin=PLANTED)
    return made


def check_evidence(place: Path, host: hosts.Host) -> dict[str, Any]:
    """The manifest of a whole archive, each checksum of which holds."""
    for path in (place, *place.parents):
        if path.name == "reports":
            break
        assert path.stat().st_mode & 0o777 == 0o700, path
    assert sorted(path.name for path in place.iterdir()) == [
        "SHA256SUMS",
        "evidence.tar.gz",
        "manifest.json",
    ]
    for path in place.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
    subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=place, check=True)
    manifest: dict[str, Any] = json.loads((place / "manifest.json").read_text())
    assert manifest["inventory_hostname"] == host.name
    contents: dict[str, bytes] = {}
    with tarfile.open(place / "evidence.tar.gz") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            assert stream is not None
            contents[member.name] = stream.read()
    assert {one["name"]: one["sha256"] for one in manifest["members"]} == {
        name: hashlib.sha256(data).hexdigest()
        for name, data in contents.items()
        if name != "manifest.json"
    }
    shadow = inside(host, "head", "-1", "/etc/shadow").strip().encode()
    for name, data in contents.items():
        assert SECRET.encode() not in data, name
        assert shadow not in data, name
    assert SECRET not in (place / "manifest.json").read_text()
    for name in (
        "state/processes.txt",
        "state/connections.txt",
        "state/journal.txt",
        "state/database/processlist.txt",
        "state/database/innodb-status.txt",
        "state/database/tables.tsv",
        "config/etc/nginx/nginx.conf",
        "config/etc/php/8.2/fpm/pool.d/www.conf",
        "logs/var/log/nginx/blog-access.log",
        "logs/var/log/nginx/error.log",
    ):
        assert name in contents, name
    assert contents[f"logs{LOGS}/access.log.3"] == b"a line\n"
    assert b"nginx: master process" in contents["state/processes.txt"]
    left_out = {one["source"]: one["reason"] for one in manifest["left_out"]}
    assert "symbolic link" in left_out[f"{LOGS}/access.log.1"]
    assert "regular file" in left_out[f"{LOGS}/access.log.2"]
    return manifest


def test_an_incident_from_first_aid_to_proof_and_once_more(
    host: hosts.Host, playbook: Any, tree: Tree, tmp_path: Path
) -> None:
    before = tree(host)
    first = playbook(host, "incident").proven()
    document = first.reports[host.name]
    assert document["outcome"] == "confirmed", first.output
    # First aid held while the evidence was read, and the hardening ended it.
    assert document["evidence"]["first_aid"] is not None
    (place,) = kept(tmp_path)
    assert place.parent.parent.name == document["run"]
    manifest = check_evidence(place, host)
    assert [one for one in manifest["members"] if one["name"].endswith("wpward-contain.conf")]
    assert left_on(host) == ""

    again = playbook(host, "incident").proven()
    assert again.changed(host.name) == 0, again.output
    assert len(kept(tmp_path)) == 2
    assert again.reports[host.name]["outcome"] == "proven_unchanged"

    verified = playbook(host, "incident", "--tags", "verify").proven()
    assert verified.changed(host.name) == 0
    assert verified.executions[host.name] < first.executions[host.name]
    assert verified.reports[host.name]["outcome"] == "proven"
    assert len(kept(tmp_path)) == 2

    inside(host, "python3", "/var/lib/wpward/rollback.py", "rollback")
    assert tree(host) == before


def test_a_step_that_fails_does_not_stop_the_others(
    host: hosts.Host, playbook: Any, tree: Tree, tmp_path: Path
) -> None:
    before = tree(host)
    run = playbook(host, "incident", "--tags", "contain,preserve", wpward_contain_seconds=5)
    assert run.code != 0
    said = " ".join(run.output.split())
    assert f"{host.name}: first aid failed: seconds is 5; take 60 to 86400." in said
    (place,) = kept(tmp_path)
    check_evidence(place, host)

    broken = {"ansible_sftp_executable": "false", "ansible_ssh_transfer_method": "sftp"}
    run = playbook(host, "incident", "--tags", "preserve", **broken).proven()
    assert "The evidence was not preserved" in run.output
    assert left_on(host) == ""
    run = playbook(host, "incident", "--tags", "preserve", wpward_preserve_required=True, **broken)
    assert run.code != 0
    assert kept(tmp_path) == [place]
    assert tree(host) == before


def test_the_probe_alone_and_check_mode_leave_nothing(
    host: hosts.Host, playbook: Any, tree: Tree, tmp_path: Path
) -> None:
    before = tree(host)
    probed = playbook(host, "incident", "--tags", "probe").proven()
    assert probed.executions[host.name] == 1
    assert probed.reports[host.name]["outcome"] == "probed"
    checked = playbook(host, "incident", "--tags", "preserve", "--check").proven()
    assert "would be taken" in " ".join(checked.output.split())
    assert kept(tmp_path) == []
    assert left_on(host) == ""
    assert tree(host) == before


def test_an_archive_whose_controller_died_goes_by_itself(host: hosts.Host, tmp_path: Path) -> None:
    stuck, pids = tmp_path / "stuck", tmp_path / "pids"
    # Its parent is the process of ansible-playbook that would remove the archive.
    stuck.write_text(
        f"#!/bin/sh\necho $$ $PPID > {pids}.new; mv {pids}.new {pids}\nexec sleep 90\n"
    )
    stuck.chmod(0o755)
    task = {"directory": str(tmp_path / "reports"), "limit_bytes": 1 << 20, "fetch_within": 4}
    play = tmp_path / "play.yml"
    play.write_text(json.dumps([{"hosts": "all", "tasks": [{"wpward.wordpress.preserve": task}]}]))
    variables = {"ansible_sftp_executable": str(stuck), "ansible_ssh_transfer_method": "sftp"}
    process = subprocess.Popen(
        [
            *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", host.inventory),
            *("-e", json.dumps(variables), str(play)),
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_GATHERING": "explicit"},
    )
    try:
        until(pids.exists, 60)
    finally:
        process.kill()
        process.wait()
    assert "wpward-evidence.tar.gz" in left_on(host)
    for pid in pids.read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    until(lambda: left_on(host) == "", 20)


def test_a_fleet_that_does_not_answer_at_all_is_named_in_a_report(tmp_path: Path) -> None:
    nowhere = {"ansible_host": "127.0.0.1", "ansible_port": 9}
    inventory = tmp_path / "silent.yml"
    inventory.write_text(json.dumps({"all": {"hosts": {"gone-a": nowhere, "gone-b": nowhere}}}))

    def incident(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory)),
                *("-e", json.dumps({"wpward_report_directory": str(tmp_path / "reports")})),
                *(*options, str(ROOT / "playbooks" / "incident.yml")),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert incident("--tags", "contain").returncode == 4
    assert not (tmp_path / "reports").exists()
    done = incident()
    assert done.returncode == 4, done.stdout + done.stderr
    assert "2 hosts: 2 unreachable" in done.stdout
    (page,) = (tmp_path / "reports").glob("*/report.html")
    for name in ("gone-a", "gone-b"):
        document = json.loads((page.parent / f"{name}.json").read_text())
        assert document["outcome"] == "unreachable"
        assert "Connection refused" in document["failure"]
        assert name in page.read_text()


def test_its_steps_are_named() -> None:
    listed = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("--list-tags", "--inventory", "blog.example,"),
            str(ROOT / "playbooks" / "incident.yml"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for step in ("contain", "preserve", "probe", "harden", "verify", "report"):
        assert step in listed.stdout
