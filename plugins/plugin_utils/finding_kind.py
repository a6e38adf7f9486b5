# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The form of an entry in the catalogue of findings, and the roles that remedy them."""

from __future__ import annotations

from dataclasses import dataclass

ENDPOINTS = "endpoints"
GUARD = "guard"
DATABASE = "database"
REAL_IP = "real_ip"
BANS = "bans"
CAPACITY = "capacity"
RECORDER = "recorder"

ROLES = (ENDPOINTS, GUARD, DATABASE, REAL_IP, BANS, CAPACITY, RECORDER)
"""In the order of application: shut the door, free the site, then see to the next time. Bans come
after the real addresses, because without those they hit a delivery network."""

CLOSE_XMLRPC_NGINX = """\
# /etc/nginx/conf.d/close-xmlrpc.conf - all virtual hosts at once, answers 401
# before: touch /etc/nginx/nobody ; after: nginx -t && systemctl reload nginx
map $uri $closed_realm { default "off"; "~*/xmlrpc\\.php(/|$)" "closed"; }
auth_basic $closed_realm;
auth_basic_user_file /etc/nginx/nobody;"""

CLOSE_XMLRPC_HTTPD = """\
# /etc/apache2/conf-enabled/close-xmlrpc.conf or /etc/httpd/conf.d/close-xmlrpc.conf
# after: apachectl configtest && apachectl graceful
<LocationMatch "(?i)/xmlrpc\\.php(?:/|$)">
  <If "! (-R '192.0.2.7/32')">
    Redirect 403
  </If>
</LocationMatch>"""


@dataclass(frozen=True)
class Kind:
    """One sort of finding.

    id: the word for it in plans, and its anchor in docs/findings.md. severity: what it is unless
    the evidence makes it more or less. meaning: what it says about the host. action: what the
    remedies do about it, or why none does. by_hand: what an operator does without this collection;
    shell, nginx, httpd: commands and configuration for that. remedies: the roles it calls for.
    """

    id: str
    title: str
    severity: str
    meaning: str
    action: str
    by_hand: str
    shell: str = ""
    nginx: str = ""
    httpd: str = ""
    remedies: tuple[str, ...] = ()
