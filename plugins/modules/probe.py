#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what happened on a WordPress server, change nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: Read what happened on a WordPress server, change nothing
version_added: 0.1.0
author: The wpward maintainers
description:
  - Finds nginx, its configuration as loaded, its server blocks, the WordPress sites in them and the
    real limits of the running processes, and counts the access logs per site and endpoint.
  - The result is one JSON document, the evidence, which the remedies of this collection work from.
  - Whatever is missing or cannot be read is a sentence in RV(evidence.problems), not a failure.
    The module fails only without root, or where its options make no sense.
  - Nothing is changed. C(nginx -T) is run, which opens the configured log files as any
    configuration test does.
options:
  since:
    description:
      - Beginning of the window in which the access logs are counted. A number with a unit (V(90s),
        V(30m), V(24h), V(7d)) counts back from now; otherwise a time as V(2026-11-21T12:00:00Z).
    type: str
    default: 24h
  time_budget:
    description:
      - Seconds for reading the logs. When they are over, the newest part that was read is reported
        and RV(evidence.problems) says so.
    type: float
    default: 20
attributes:
  check_mode:
    description: Can run in check mode; it changes nothing in either mode.
    support: full
  diff_mode:
    description: There is never a difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Read what happened in the last two hours
  wpward.wordpress.probe:
    since: 2h
  register: probe

- name: Show who asked for XML-RPC
  ansible.builtin.debug:
    msg: "{{ probe.evidence.access | selectattr('endpoint', 'eq', 'xmlrpc') }}"
"""

RETURN = r"""
evidence:
  description:
    - The evidence document. Times are UTC. Bytes that are not UTF-8 stand as C(\xHH).
  returned: success
  type: dict
  contains:
    schema:
      description: Version of this structure; it changes when a reader would have to.
      type: int
      sample: 1
    collected_at:
      description: When the probe began.
      type: str
      sample: "2026-11-21T12:00:00Z"
    since:
      description: Beginning of the window in which logs were counted.
      type: str
      sample: "2026-11-20T12:00:00Z"
    duration_seconds:
      description: How long the probe took on the host.
      type: float
      sample: 0.8
    host:
      description: The host itself.
      type: dict
      contains:
        name:
          description: Its own name.
          type: str
        os:
          description: C(id), C(version_id) and C(codename) of os-release.
          type: dict
        python:
          description: Version of the Python that ran the probe.
          type: str
        init:
          description: V(systemd), or the name of process 1.
          type: str
        addresses:
          description: Its addresses, without loopback and link-local ones.
          type: list
          elements: str
        controller_address:
          description: Where this SSH session comes from; null where that is not known.
          type: str
    nginx:
      description: The nginx of the host; null where there is none.
      type: dict
      contains:
        version:
          description: As C(nginx -V) says.
          type: str
          sample: 1.22.1
        binary:
          description: The running master's binary, else the installed one.
          type: str
        config_path:
          description: The main configuration file.
          type: str
        prefix:
          description: What relative paths of logs and roots start from.
          type: str
        running:
          description: Whether a master process is there.
          type: bool
        unit:
          description: Its systemd unit; null where it has none.
          type: str
        config_test:
          description: C(ok) and C(message) of nginx's own test of the files on disk.
          type: dict
        config_newer_than_workers:
          description: >-
            Configuration files that changed after the running workers started: an edit that no
            reload has put into force yet, and that the next one will.
          type: list
          elements: str
        http_include_directory:
          description: Directory whose C(*.conf) files nginx includes at http level; null without.
          type: str
          sample: /etc/nginx/conf.d
        http_include_file:
          description: >-
            The file in it for http-level directives. Its name sorts before every file there that
            holds a server block, because nginx wants a log format before its first use.
          type: str
          sample: /etc/nginx/conf.d/wpward.conf
        log_formats:
          description: Text of each C(log_format) by its name.
          type: dict
        files:
          description: Every file of the configuration by its real path, with its C(sha256).
          type: dict
    vhosts:
      description: The server blocks, in nginx's order.
      type: list
      elements: dict
      contains:
        id:
          description: C(nginx:FILE:LINE).
          type: str
        server:
          description: V(nginx).
          type: str
        file:
          description: Real path of the file that holds the server block.
          type: str
        line:
          description: Line on which it begins.
          type: int
        sha256:
          description: Checksum of that file as read.
          type: str
        insert_offset:
          description: Byte offset right after its opening brace.
          type: int
        insert_comment:
          description: >-
            Whether an insertion there may end in a comment. Not where more text follows the brace
            on its line.
          type: bool
        indent:
          description: What the directives in it are indented by.
          type: str
        wpward_include:
          description: >-
            C(offset) and C(length) in bytes of the inserted include, and C(path) of what it
            includes; null where there is none.
          type: dict
        server_names:
          description: As configured, with wildcards and regular expressions.
          type: list
          elements: str
        listens:
          description: >-
            C(address) (V(*) for any), C(port), C(tls), C(default) and C(proxy_protocol); or
            C(unix) with a path.
          type: list
          elements: dict
        roots:
          description: Document roots and aliases of the server block and its locations.
          type: list
          elements: str
        access_logs:
          description: C(path) and C(format) of each log, inherited ones among them.
          type: list
          elements: dict
        error_logs:
          description: Paths of the error logs.
          type: list
          elements: str
        xmlrpc_rules:
          description: C(file), C(line) and C(text) of directives that mention xmlrpc already.
          type: list
          elements: dict
        sites:
          description: Ids of the WordPress sites it serves.
          type: list
          elements: str
    sites:
      description: The WordPress sites.
      type: list
      elements: dict
      contains:
        id:
          description: Server name, port where it is neither 80 nor 443, and URL path.
          type: str
          sample: blog.example/
        path:
          description: Directory that holds wp-load.php.
          type: str
        url_path:
          description: URL path that this directory is served under.
          type: str
          sample: /
        home_path:
          description: URL path of the front page; differs for a WordPress "in its own directory".
          type: str
        version:
          description: WordPress version.
          type: str
        config_path:
          description: Its wp-config.php; null where none was found.
          type: str
        content_dir:
          description: Where wp-content is; null where only PHP can tell.
          type: str
        mu_plugins_dir:
          description: Where must-use plugins go; null where only PHP can tell.
          type: str
        plugins:
          description: Plugins that are present. Whether they are active is in the database only.
          type: list
          elements: str
        mu_plugins:
          description: Files of the must-use plugins.
          type: list
          elements: str
        xmlrpc_plugins:
          description: Plugins among those present whose service needs XML-RPC.
          type: list
          elements: str
        vhosts:
          description: Ids of the server blocks that serve it.
          type: list
          elements: str
    processes:
      description: >-
        The running processes of nginx, php-fpm and MariaDB: C(service), C(role) (V(master) or
        V(worker)), C(pid), C(nofile) with the C(soft) and C(hard) limit from /proc (null for
        unlimited), C(open_fds).
      type: list
      elements: dict
    access:
      description: What the access logs say, one entry per site and endpoint.
      type: list
      elements: dict
      contains:
        site:
          description: Site id; null where the line does not tell which of several sites it is of.
          type: str
        log:
          description: The log; its rotated files are counted with it.
          type: str
        endpoint:
          description: Endpoint id of the catalogue.
          type: str
          sample: xmlrpc
        hits:
          description: Requests within the window.
          type: int
        peak_per_minute:
          description: C(count) of the busiest minute and when it was (C(at)).
          type: dict
        peak_per_second:
          description: C(count) of the busiest second and when it was (C(at)).
          type: dict
        statuses:
          description: Requests by HTTP status.
          type: dict
        first:
          description: Time of the first request.
          type: str
        last:
          description: Time of the last request.
          type: str
        clients:
          description: C(address) and C(hits) of the twenty busiest clients.
          type: list
          elements: dict
        clients_exact:
          description: False where there were so many clients that the hits are lower bounds.
          type: bool
        distinct_clients:
          description: How many clients there were.
          type: int
        distinct_clients_exact:
          description: False where that is an estimate.
          type: bool
    problems:
      description: >-
        What is missing or could not be read, as C(id) and one sentence (C(message)). Ids:
        V(systemd_missing), V(nginx_not_found), V(nginx_not_running), V(nginx_several),
        V(nginx_config_invalid), V(nginx_config_unread), V(nginx_files_differ), V(root_unknown),
        V(wordpress_not_found), V(wordpress_not_configured), V(content_dir_unknown),
        V(log_unreadable), V(log_not_a_file), V(name_not_utf8), V(log_format_unusable),
        V(log_format_mismatch), V(log_forgeable), V(log_time_budget).
      type: list
      elements: dict
"""

import calendar
import os
import re
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wpward.wordpress.plugins.module_utils import evidence

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(since: str, now: float) -> int:
    """Seconds since the epoch. Raises ValueError for what is neither a span nor a time."""
    span = re.match(r"(\d{1,6})([smhd])$", since)
    if span:
        return int(now) - int(span.group(1)) * _UNITS[span.group(2)]
    return calendar.timegm(time.strptime(since, "%Y-%m-%dT%H:%M:%SZ"))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "since": {"type": "str", "default": "24h"},
            "time_budget": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    time_budget: float = module.params["time_budget"]
    try:
        since = _seconds(module.params["since"], time.time())
    except ValueError:
        module.fail_json(
            msg="since is '{}'; give a span such as 30m, 24h or 7d, or a UTC time such as "
            "2026-11-21T12:00:00Z.".format(module.params["since"])
        )
    if not 0 < time_budget <= 3600:
        module.fail_json(msg=f"time_budget is {time_budget}; give seconds between 0 and 3600.")
    if os.geteuid() != 0:
        module.fail_json(
            msg=f"The probe runs as uid {os.geteuid()} and needs root to read nginx's "
            "configuration, logs and processes; set 'become: true'."
        )
    module.exit_json(changed=False, evidence=evidence.collect(since, time_budget))


if __name__ == "__main__":
    main()
