# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings that rest on what the sites were asked."""

from __future__ import annotations

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import HIGH, LOW, MEDIUM
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_kind import (
    BANS,
    CLOSE_XMLRPC_HTTPD,
    CLOSE_XMLRPC_NGINX,
    ENDPOINTS,
    GUARD,
    REAL_IP,
    Kind,
)

_COUNT_PER_SITE = """\
# requests for xmlrpc.php per minute, whoever sent them
grep -hi xmlrpc /var/log/nginx/access.log /var/log/apache2/*access.log /var/log/httpd/access_log \\
  2>/dev/null | grep -o '[0-9]*/[A-Z][a-z]*/[0-9:]*' | cut -c1-17 | sort | uniq -c | tail -60"""

KINDS = (
    Kind(
        "xmlrpc_attack",
        "XML-RPC is being flooded",
        HIGH,
        "xmlrpc.php was asked far more often than anything with a use for it asks. Each request "
        "that is answered starts PHP and WordPress and checks a password, about 20 ms of CPU. "
        "A flood that is refused already stays a finding, because it is an attack, but with a "
        "lower severity.",
        "The web server refuses xmlrpc.php in every spelling, before PHP. Clients under policy "
        "`trusted` still reach it.",
        "Close xmlrpc.php in the web server. Do not rename the file (an update fails or brings it "
        "back), and do not switch the log off: it is how you see the attack end.",
        nginx=CLOSE_XMLRPC_NGINX,
        httpd=CLOSE_XMLRPC_HTTPD,
        remedies=(ENDPOINTS, BANS),
    ),
    Kind(
        "xmlrpc_low_and_slow",
        "XML-RPC is attacked from ever-changing addresses",
        HIGH,
        "Few requests come from each address, but they come hour after hour. No count per "
        "address, and no ban, sees this; only the count per site does. It guesses passwords, "
        "fills plugins' log tables and, while it is at its height, takes all workers.",
        "The web server refuses xmlrpc.php for everybody who is not trusted. Bans hardly help "
        "against addresses that come once.",
        "Close xmlrpc.php in the web server, and count per site instead of per address.",
        shell=_COUNT_PER_SITE,
        nginx=CLOSE_XMLRPC_NGINX,
        httpd=CLOSE_XMLRPC_HTTPD,
        remedies=(ENDPOINTS,),
    ),
    Kind(
        "xmlrpc_probed",
        "XML-RPC is used steadily by somebody unknown",
        MEDIUM,
        "The same few addresses call XML-RPC all day, and nothing tells who they are. It may be a "
        "program of yours that posts or reads every few minutes, or somebody who guesses "
        "passwords patiently.",
        "Nothing by itself, since closing it may stop a program of yours. With `wpward_mode` "
        "`baseline` the policy decides.",
        "Look the addresses up. If they are yours, name them in `wpward_trusted` and set the "
        "policy of xmlrpc to `trusted`; if not, close it.",
        shell="# who asks\ngrep -h xmlrpc /var/log/nginx/access.log /var/log/apache2/access.log "
        "2>/dev/null | cut -d' ' -f1 | sort | uniq -c | sort -rn | head",
        nginx=CLOSE_XMLRPC_NGINX,
        httpd=CLOSE_XMLRPC_HTTPD,
    ),
    Kind(
        "xmlrpc_open",
        "The door that an earlier attack came through is open",
        HIGH,
        "An attack on XML-RPC is over, or the database holds what one has left, and nothing in "
        "the web server's configuration refuses xmlrpc.php. The next one finds it open.",
        "The web server refuses xmlrpc.php for everybody who is not trusted.",
        "Close xmlrpc.php in the web server once the database has its breath back, or now.",
        nginx=CLOSE_XMLRPC_NGINX,
        httpd=CLOSE_XMLRPC_HTTPD,
        remedies=(ENDPOINTS,),
    ),
    Kind(
        "xmlrpc_needed",
        "Something here needs XML-RPC",
        MEDIUM,
        "A plugin such as Jetpack, an app or an external editor uses XML-RPC on this site. Once "
        "it is closed for everybody, that stops.",
        "Nothing by itself: who is trusted is yours to say. The message names what was seen.",
        "Set the policy of xmlrpc to `trusted` and name the networks that need it. Jetpack's are "
        "published at https://jetpack.com/ips-v4.txt; your own clients' are in the report. "
        "A visitor's address behind a delivery network counts only once the web server knows it.",
        nginx="""\
# http level; the addresses are an example. xmlrpc.php stays open for them and no one else
geo $xmlrpc_stranger { default 1; 192.0.2.7/32 0; }
map "$xmlrpc_stranger$uri" $closed_realm { default "off"; "~*^1.*/xmlrpc\\.php(/|$)" "closed"; }
auth_basic $closed_realm;
auth_basic_user_file /etc/nginx/nobody;""",
        httpd=CLOSE_XMLRPC_HTTPD,
    ),
    Kind(
        "plugin_not_enough",
        "A plugin that closes XML-RPC is not enough",
        MEDIUM,
        "A plugin on this site says that it closes XML-RPC, and requests still reach PHP. What a "
        "plugin refuses has started PHP and WordPress already: refusing costs nearly as much as "
        "answering.",
        "The web server refuses xmlrpc.php before PHP starts. The plugin may stay.",
        "Close xmlrpc.php in the web server.",
        nginx=CLOSE_XMLRPC_NGINX,
        httpd=CLOSE_XMLRPC_HTTPD,
        remedies=(ENDPOINTS,),
    ),
    Kind(
        "login_attack",
        "Passwords are being guessed at the login page",
        HIGH,
        "wp-login.php gets posted passwords at a rate or for a time that no person keeps up, and "
        "nearly none of them is right (a right one is answered 302).",
        "The names that are being tried are closed to visitors, and the login form gives one "
        "answer whether a name exists or not. The page stays open unless its policy is `trusted`.",
        "Limit the attempts per address, or let only your own networks log in. Use long "
        "passwords and a second factor for whoever may publish.",
        nginx="""\
# http level, e.g. /etc/nginx/conf.d/limit-login.conf: six attempts a minute per address.
# An own location for wp-login.php would need its own PHP handler; this needs none.
map "$request_method$uri" $login_client {
    default "";
    "~*^POST.*/wp-login\\.php$" $binary_remote_addr;
}
limit_req_zone $login_client zone=login:10m rate=6r/m;
limit_req zone=login burst=5 nodelay;""",
        httpd="""\
<LocationMatch "(?i)/wp-login\\.php(?:/|$)">
  <If "%{REQUEST_METHOD} == 'POST' && ! (-R '192.0.2.0/24')">
    Redirect 403
  </If>
</LocationMatch>""",
        remedies=(ENDPOINTS, GUARD, BANS),
    ),
    Kind(
        "user_names_told",
        "The site tells its user names to strangers",
        MEDIUM,
        "Requests that list users were answered with them. An attacker who has the login names "
        "only needs passwords. Requests of your own editors are among those counted where the log "
        "cannot tell them apart.",
        "A must-use plugin closes every route that tells login names to visitors; the web server "
        "refuses the plain requests before PHP.",
        "No rule on addresses (URLs) closes this: names also leak through POST bodies, `_embed`, "
        "oEmbed and feeds, and such rules break the block editor. Give every user a public name "
        "that is not the login, and close the REST route for visitors with a must-use plugin.",
        shell="""\
wp user list --fields=ID,user_login,user_nicename,display_name
wp user update 1 --user_nicename=editorial --display_name='Editorial team'
cat > wp-content/mu-plugins/no-user-list.php <<'PHP'
<?php
add_filter('rest_endpoints', function ($routes) {
    if (current_user_can('edit_posts')) {
        return $routes;
    }
    return array_filter($routes, function ($route) {
        return strpos($route, '/wp/v2/users') !== 0;
    }, ARRAY_FILTER_USE_KEY);
});
PHP""",
        remedies=(ENDPOINTS, GUARD),
    ),
    Kind(
        "user_names_open",
        "Nothing keeps the user names of an attacked site",
        LOW,
        "Passwords are being guessed here and nothing on the site keeps its user names from "
        "visitors. Hardly anybody but people who log in has been seen asking for them within the "
        "window.",
        "The same as for user_names_told.",
        "The same as for [user_names_told](#user_names_told).",
        remedies=(ENDPOINTS, GUARD),
    ),
    Kind(
        "claims_false",
        "Attackers pass themselves off as a search engine",
        MEDIUM,
        "The user agent names a search engine, the address is none of its published ones. A "
        "firewall or plugin that lets search engines in by their user agent lets these in.",
        "Nothing has to be added: the rules of this collection never look at the user agent.",
        "Remove every exception that rests on a user agent. Who is genuine shows in the published "
        "ranges, or in the reverse DNS name that leads back to the same address.",
        shell="host 192.0.2.7        # a name below googlebot.com or search.msn.com, and then\n"
        "host NAME             # the same address again",
    ),
    Kind(
        "behind_cdn",
        "The log shows a delivery network or a proxy, not the clients",
        HIGH,
        "The addresses in the log belong to a delivery network (CloudFront, Cloudflare, Fastly) or "
        "to a proxy of your own. A ban of what the log shows would ban every visitor, and a "
        "trusted client is not recognised.",
        "The web server learns the real address from the network's header, and only where the "
        "request comes from the network's published ranges. What is or may be a proxy of your own "
        "is believed only once you name it (`wpward_cdn` `custom`, `wpward_cdn_networks`). Bans "
        "then act in the web server, since the packets of all visitors come from the network; "
        "whoever passes requests on is never banned.",
        "Name the network's published ranges as proxies, never 0.0.0.0/0; `wpward cdn` shows their "
        "age. Behind CloudFront the real clients are also in its own logs (field 5, `c-ip`).",
        nginx="""\
# http level. The range is an example; CloudFront https://ip-ranges.amazonaws.com/ip-ranges.json,
# Cloudflare https://www.cloudflare.com/ips-v4 (header CF-Connecting-IP)
set_real_ip_from 198.51.100.0/24;
real_ip_header X-Forwarded-For;
real_ip_recursive on;""",
        httpd="""\
# a2enmod remoteip ; the range is an example. RemoteIPInternalProxy for one with private addresses
RemoteIPHeader X-Forwarded-For
RemoteIPTrustedProxy 198.51.100.0/24
# in LogFormat %h and %a are the client then; %{c}a stays the proxy""",
        remedies=(REAL_IP,),
    ),
)
