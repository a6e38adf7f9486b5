# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the incidents real on a test host: exhausted workers, a loop, a purge that does not end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed import audit_table, clients, hosts, podman

NGINX_VHOST = Path(hosts.__file__).parent / "nginx" / "blog"
SLOW_PAGE = "/slow.php"

# As published: combined with a trailing field, which most distributions but Debian configure.
MAIN_FORMAT = """
log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                '$status $body_bytes_sent "$http_referer" '
                '"$http_user_agent" "$http_x_forwarded_for"';
"""


def inside(host: hosts.Host, *argv: str, stdin: str | None = None) -> str:
    """Run a program on the host and return what it printed; it must succeed."""
    return podman.execute(host.container, list(argv), stdin=stdin)


def shell(host: hosts.Host, script: str) -> str:
    return inside(host, "bash", "-eu", "-s", stdin=script)


def write(host: hosts.Host, path: str, text: str) -> None:
    """Write a file in place, so that a server that has it open goes on writing to it."""
    inside(host, "sh", "-c", 'cat > "$1"', "write", path, stdin=text)


def reload_nginx(host: hosts.Host) -> None:
    inside(host, "nginx", "-t", "-q")
    inside(host, "systemctl", "reload", "nginx")
    # The old workers still take connections for a moment.
    time.sleep(1)


def nginx_blog(host: hosts.Host, *, before: str = "") -> None:
    """Have the blog's vhost log in the format `main`, with something before its locations."""
    text = NGINX_VHOST.read_text().replace("combined;", "main;", 1)
    write(host, "/etc/nginx/conf.d/main.conf", MAIN_FORMAT)
    inside(host, "rm", "-f", "/etc/nginx/sites-enabled/blog")
    edited = text.replace("    location / {", f"{before}\n    location / {{", 1)
    write(host, "/etc/nginx/sites-enabled/blog", edited)
    reload_nginx(host)


def slow_page(host: hosts.Host, seconds: float) -> None:
    """A page whose PHP sleeps."""
    write(host, f"/var/www/blog{SLOW_PAGE}", f"<?php usleep({int(seconds * 1e6)});\n")


def occupy(host: hosts.Host, requests: int) -> None:
    """Ask for the slow page that many times at once, and wait until all are answered."""
    clients.traffic(
        "c", host.address, target=SLOW_PAGE, count=requests, rate=0, concurrency=requests
    )


def exhaust_php_fpm(host: hosts.Host, times: int) -> None:
    """Keep every worker of the pool busy, and have php-fpm reloaded as operators then do.

    It logs the first time that it has no worker left, and seldom again until it is reloaded.
    """
    started = "pm.start_servers = 5\npm.max_spare_servers = 5\n"
    shell(host, f"cd /etc/php/*/fpm/pool.d; printf '{started}' >> www.conf")
    # It looks once a second.
    slow_page(host, 1.3)
    for _ in range(times):
        shell(host, "systemctl reload 'php*-fpm.service'")
        occupy(host, 7)


def exhaust_httpd(host: hosts.Host, limits: str) -> None:
    """Have httpd reach its own, small limit of workers, which it logs once per start."""
    write(host, "/etc/apache2/conf-enabled/small.conf", limits)
    inside(host, "systemctl", "restart", "apache2")
    slow_page(host, 2)
    occupy(host, 10)


def call_the_loop(host: hosts.Host) -> None:
    """Send one request to an nginx that calls itself."""
    # It answers 500 or not at all, as it is a socket or a connection that it lacks.
    shell(host, "curl -s -m 3 -o /dev/null -d x http://127.0.0.1/xmlrpc.php || true")


def exhaust_nginx_by_its_loop(host: hosts.Host) -> None:
    """Let nginx call itself until its open files are used up, then until its connections are.

    Both limits are small, so one request each is enough; the main file is as before afterwards.
    """
    main = inside(host, "cat", "/etc/nginx/nginx.conf")
    for text in (
        f"worker_rlimit_nofile 64;\n{main}",
        main.replace("worker_connections 768", "worker_connections 40"),
    ):
        assert text != main
        write(host, "/etc/nginx/nginx.conf", text)
        reload_nginx(host)
        call_the_loop(host)
    write(host, "/etc/nginx/nginx.conf", main)
    reload_nginx(host)


AUDIT_TABLE = f"""
{audit_table.LAYOUT}
INSERT INTO wp_aiowps_audit_log (username, ip, level, event_type, details, stacktrace, created)
SELECT 'alice', CONCAT('198.18.', seq MOD 7, '.', seq MOD 251), 'warning', 'failed_login',
       '{{"failed_login":{{"imported":false,"username":"alice","known":true}}}}',
       REPEAT('/var/www/blog/xmlrpc.php ', 8), UNIX_TIMESTAMP() - 30 * 86400 + seq
FROM seq_1_to_500000;
ANALYZE TABLE wp_aiowps_audit_log;
"""
PURGE = "DELETE FROM wp_aiowps_audit_log WHERE created < UNIX_TIMESTAMP() - 7 * 86400"


# What each failed login costs while the plugin looks for earlier ones: it reads the whole table.
LOOK_UPS = """
BEGIN NOT ATOMIC
  DECLARE until_then DATETIME DEFAULT SYSDATE() + INTERVAL 90 SECOND;
  REPEAT
    SELECT COUNT(*) INTO @found FROM wp_aiowps_audit_log WHERE created < 0;
  UNTIL SYSDATE() > until_then END REPEAT;
END
"""


def fill_audit_table(host: hosts.Host) -> None:
    """500,000 failed logins, all of them due for the purge."""
    inside(host, "mysql", "wordpress", stdin=AUDIT_TABLE)


@contextmanager
def endless_purge(host: hosts.Host) -> Iterator[None]:
    """The plugin's purge, still running when the block begins and until it ends.

    It is done with half a million rows in seconds on a fast disk; a row that somebody else holds
    makes it last.
    """
    command = ["podman", *podman.runtime_arguments(), "exec", "-i", host.container]
    with subprocess.Popen(
        [*command, "mysql", "--unbuffered", "wordpress"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdin
        assert holder.stdout
        hold = "BEGIN; SELECT id FROM wp_aiowps_audit_log WHERE id = 480000 FOR UPDATE;\n"
        holder.stdin.write(f"{hold}SELECT 'held';\n")
        holder.stdin.flush()
        while "held" not in holder.stdout.readline():
            assert holder.poll() is None
        statement = f"SET innodb_lock_wait_timeout = 600; {PURGE}"
        with subprocess.Popen([*command, "mysql", "wordpress", "-e", statement]) as purge:
            yield
            assert purge.poll() is None, "the purge ended too soon"
            # The host is removed next: nobody has to wait for half a million rows to come back.
            purge.terminate()
        holder.stdin.close()


@contextmanager
def busy_database(host: hosts.Host) -> Iterator[None]:
    """MariaDB reads the audit table over and over, for a minute and a half at most."""
    mysql = ["mysql", "wordpress", "--delimiter=//", "-e", LOOK_UPS]
    command = ["podman", *podman.runtime_arguments(), "exec", host.container, *mysql]
    with subprocess.Popen(command) as reading:
        yield
        assert reading.poll() is None, "the database was not busy to the end"
        reading.terminate()
