# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings that are mistakes in a configuration, by the ids that the probe gives them."""

from __future__ import annotations

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import HIGH, LOW, MEDIUM
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_kind import (
    CAPACITY,
    CLOSE_XMLRPC_HTTPD,
    CLOSE_XMLRPC_NGINX,
    ENDPOINTS,
    Kind,
)

KINDS = (
    Kind(
        "error_log_off",
        "`error_log off` writes a file named off",
        MEDIUM,
        "nginx has no way to switch its error log off: `error_log off;` writes to a file NAMED "
        "`off` in nginx's prefix. It grows unseen, and the place where you would look is silent.",
        "Nothing: whose log this is, is yours to say.",
        "Name a real file, or leave the directive out; then delete the file named off.",
        nginx="error_log /var/log/nginx/error.log crit;",
    ),
    Kind(
        "off_file",
        "A log named off is lying about",
        LOW,
        "An `error_log off` wrote this file once, or still does. It is in no rotation.",
        "Nothing is deleted by itself.",
        "Correct the directive first (error_log_off), reload nginx, then delete the file.",
        shell="ls -l /usr/share/nginx/off /etc/nginx/off /var/lib/nginx/off 2>/dev/null",
    ),
    Kind(
        "self_proxy",
        "The server passes XML-RPC on to itself",
        HIGH,
        "A `proxy_pass` (httpd: `ProxyPass`) leads back to the place it stands in. One single "
        "request then goes round until connections or open files run out: 500 and 502, `Too many "
        "open files`, `worker_connections are not enough`. Higher limits only let the loop eat "
        "more.",
        "Strangers are refused before they come to the loop. The location itself is yours to "
        "remove; until then a trusted client still runs into it.",
        "Remove the proxy_pass. A trusted client has to be let through to the site's own PHP "
        "location instead.",
        nginx=CLOSE_XMLRPC_NGINX,
        httpd=CLOSE_XMLRPC_HTTPD,
        remedies=(ENDPOINTS,),
    ),
    Kind(
        "xmlrpc_without_php",
        "An allowlist for XML-RPC leads nowhere",
        MEDIUM,
        "The location that allows and denies clients has no PHP handler. Who is allowed gets 405 "
        "for a POST, and the PHP source as a download for a GET.",
        "With policy `trusted`, trusted clients reach the site's own PHP. Remove the location, it "
        "is in the way.",
        "Remove the location; or give it the same PHP handler as the site's PHP location has.",
        nginx="""\
location = /xmlrpc.php {
    allow 192.0.2.7; deny all;
    include snippets/fastcgi-php.conf;
    fastcgi_pass unix:/run/php/php8.2-fpm.sock;
}""",
        remedies=(ENDPOINTS,),
    ),
    Kind(
        "xmlrpc_rule_never_fires",
        "A rule against XML-RPC never takes effect",
        HIGH,
        "The rule stands where the web server never comes to it: behind the PHP location, in a "
        "prefix that the PHP location beats, or in a file mapping that the PHP proxy passes by. "
        "XML-RPC is open although it looks closed.",
        "The web server decides by the decoded path, before any location of the site.",
        "Put a rule where it is asked first.",
        nginx=CLOSE_XMLRPC_NGINX,
        httpd=CLOSE_XMLRPC_HTTPD,
        remedies=(ENDPOINTS,),
    ),
    Kind(
        "htaccess_ignored",
        "A rule in .htaccess is not read",
        MEDIUM,
        "The rule is in a .htaccess file and the server does not read it (AllowOverride None, or "
        "nginx, which knows no such files).",
        "The web server's own configuration refuses xmlrpc.php.",
        "Move the rule into the server's configuration.",
        nginx=CLOSE_XMLRPC_NGINX,
        httpd=CLOSE_XMLRPC_HTTPD,
        remedies=(ENDPOINTS,),
    ),
    Kind(
        "limits_conf_ineffective",
        "limits.conf does not reach the service",
        LOW,
        "limits.conf raises the number of open files, and the running service has not got it: "
        "only sessions that log in read that file, services get their limits from systemd.",
        "The limit is set by a drop-in of each service's unit and read back from every running "
        "process. limits.conf keeps what it is for: the sessions that log in.",
        "Set it in a drop-in and restart; a reload is not enough.",
        shell="systemctl edit nginx         # or apache2, httpd: [Service] LimitNOFILE=16384\n"
        "systemctl restart nginx\n"
        "grep 'open files' /proc/$(systemctl show -p MainPID --value nginx)/limits",
        remedies=(CAPACITY,),
    ),
    Kind(
        "xmlrpc_log_off",
        "Requests for XML-RPC are not logged",
        MEDIUM,
        "`access_log off` on xmlrpc.php keeps the log small and everybody blind: neither you nor "
        "a ban nor this probe sees an attack. A quiet verdict is worth nothing here.",
        "What is refused goes to a small log of its own, with time, address and rule only.",
        "Log refused requests to a file of their own.",
        nginx="access_log /var/log/nginx/refused.log;",
        httpd='CustomLog /var/log/apache2/refused.log combined "expr=%{REQUEST_STATUS} -eq 403"',
        remedies=(ENDPOINTS,),
    ),
    Kind(
        "access_log_buffered",
        "The access log is written late",
        LOW,
        "The log is buffered, so that its lines arrive when the buffer is full: a ban comes late, "
        "and the newest minutes are missing from what was counted.",
        "Nothing: on a busy server the buffer has its use.",
        "Give the buffer a short time, or leave it out.",
        nginx="access_log /var/log/nginx/access.log combined buffer=32k flush=1s;",
        httpd="BufferedLogs Off",
    ),
    Kind(
        "xmlrpc_renamed",
        "A renamed xmlrpc.php was left behind",
        MEDIUM,
        "Somebody renamed xmlrpc.php as first aid. An update brings the file back or fails over "
        "it, and under its new name it still answers who finds it.",
        "The web server refuses xmlrpc.php, so that the file may have its name again.",
        "Close xmlrpc.php in the web server, then give the file its name back.",
        shell="wp core verify-checksums",
        nginx=CLOSE_XMLRPC_NGINX,
        httpd=CLOSE_XMLRPC_HTTPD,
        remedies=(ENDPOINTS,),
    ),
    Kind(
        "httpd_old_syntax",
        "Access control of httpd 2.2 is still there",
        LOW,
        "`Order`, `Allow`, `Deny` and `Satisfy` work in httpd 2.4 by mod_access_compat alone, and "
        "beside a `Require` they do not do what they say: `Satisfy Any` lets in whom the `Require` "
        "refuses.",
        "Nothing: such lines are left as they are, and what we refuse does not depend on them.",
        "Replace them by `Require`.",
        httpd="Require all denied",
    ),
)
