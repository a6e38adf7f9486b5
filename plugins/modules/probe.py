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
  - Finds nginx and Apache httpd, their configuration as loaded, their virtual hosts, the WordPress
    sites in them and the real limits of the running processes; counts the access logs per site and
    endpoint; and reads what else tells of an attack, now or in the past, namely error logs, the
    kernel's log, load and memory, connections, traps in the configuration, and the database.
  - The result is one JSON document, the evidence, which the plan and the remedies of this
    collection work from.
  - Whatever is missing or cannot be read is a sentence in RV(evidence.problems), not a failure.
    The module fails only without root, or where its options make no sense.
  - Nothing is changed. The web servers' own configuration tests are run, which open the configured
    log files. The probe yields the processor and the disk to everybody else.
options:
  since:
    description:
      - Beginning of the window in which the logs are counted. A number with a unit (V(90s), V(30m),
        V(24h), V(7d)) counts back from now; otherwise a time as V(2026-11-21T12:00:00Z). Where an
        attack was under way already at that time, the access log is read further back.
    type: str
    default: 24h
  time_budget:
    description:
      - Seconds for the whole probe. When they are over, what was read by then is reported;
        RV(evidence.budget) and RV(evidence.problems) say which part is incomplete. Of a log the
        newest part is read first. Where the servers' own configuration tests are slow, it takes
        longer, because every other part has an eighth of this time in any case.
    type: float
    default: 20
  database_credentials:
    description:
      - A file on the host with user and password for MariaDB or MySQL, in the form that its client
        reads with C(--defaults-extra-file). By default root is let in by the server's unix socket.
    version_added: 0.2.0
    type: path
  resolve_claims:
    description:
      - Whether to look up some of the addresses that claim to be a search engine by reverse DNS,
        confirmed by forward DNS. Without it, only the published ranges tell.
    version_added: 0.2.0
    type: bool
    default: false
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
      sample: 2
    collected_at:
      description: When the probe began.
      type: str
      sample: "2026-11-21T12:00:00Z"
    since:
      description: Beginning of the window in which logs were counted, where none says otherwise.
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
        gateways:
          description: Its default gateways, those of IPv4 first.
          type: list
          elements: str
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
        control:
          description: >-
            The commands that C(test) and C(reload) the configuration, each as a list of words:
            by the unit where that is nginx's own, else by the binary.
          type: dict
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
        stack:
          description: >-
            The known stack that wrote the configuration: V(wordops), V(slickstack), V(trellis) or
            V(plesk); null for any other.
          type: str
        edit_refusal:
          description: >-
            One sentence why the server blocks must not be edited, as a program generates them;
            null where they may be.
          type: str
        log_formats:
          description: Text of each C(log_format) by its name.
          type: dict
        real_ip:
          description: >-
            How the client's address is taken from a header, at http and server level, without what
            this collection wrote. Whether the C(module) is built in, the C(header) (null where
            nothing is configured), the networks C(from) which it is accepted (without any, the
            header has no effect), whether it is C(recursive), and the C(places) as C(file) and
            C(line).
          type: dict
        files:
          description: Every file of the configuration by its real path, with its C(sha256).
          type: dict
    httpd:
      description: The Apache httpd of the host; null where there is none.
      type: dict
      contains:
        version:
          description: As C(httpd -v) says.
          type: str
          sample: 2.4.62
        binary:
          description: The running master's binary, else the installed one.
          type: str
        config_path:
          description: The main configuration file.
          type: str
        server_root:
          description: What relative paths in the configuration start from.
          type: str
        mpm:
          description: V(event), V(worker) or V(prefork); null where it is not known.
          type: str
        running:
          description: Whether a master process is there.
          type: bool
        unit:
          description: Its systemd unit; null where it has none.
          type: str
        config_test:
          description: C(ok) and C(message) of httpd's own test of the files on disk.
          type: dict
        modules:
          description: Names of the loaded modules.
          type: list
          elements: str
        log_formats:
          description: Text of each C(LogFormat) by its nickname.
          type: dict
        files:
          description: Every file of the configuration by its real path, with its C(sha256).
          type: dict
        limits:
          description: >-
            C(MaxRequestWorkers), C(ServerLimit) and C(ThreadsPerChild) as configured for the MPM;
            null where httpd's own default holds.
          type: dict
        real_ip:
          description: >-
            How the client's address is taken from a header, in the main server and in virtual
            hosts, without what this collection wrote. Whether the C(module) is loaded; Debian's
            C(load_file) and C(load_link) that load it (null elsewhere); its C(module_file) (null
            where there is none); the C(header) (null where none is configured), the trusted and
            internal C(proxies), those of lists among them, and the C(places) as C(file) and
            C(line).
          type: dict
        layout:
          description: >-
            V(debian), V(rhel), V(bitnami), V(cpanel), V(plesk) or V(other), told by what is
            included and what lies beside it.
          type: str
        conf_file:
          description: >-
            Where one file takes effect for the main server and every virtual host, because an
            include outside of every section reads it; null where there is no such include.
          type: str
          sample: /etc/httpd/conf.d/wpward.conf
        conf_link:
          description: >-
            The symbolic link that has to point to C(conf_file) for that, as C(a2enconf) makes it;
            null where none is needed.
          type: str
        conf_refusal:
          description: >-
            One sentence why there is no C(conf_file) and what to do; null where there is one.
          type: str
        control:
          description: >-
            The commands that C(test) and C(reload) the configuration as this layout does it, each
            as a list of words. They need no environment of their own.
          type: dict
        log_directory:
          description: >-
            Where its logs lie, if possible a directory that only root can write to; null where
            none was found.
          type: str
          sample: /var/log/httpd
        wpward:
          description: >-
            The C(path) of C(conf_file) where the configuration on disk loads it already, else
            null.
          type: dict
    vhosts:
      description: The virtual hosts, nginx's server blocks first, each server's in its own order.
      type: list
      elements: dict
      contains:
        id:
          description: C(SERVER:FILE:LINE).
          type: str
        server:
          description: V(nginx) or V(httpd).
          type: str
        file:
          description: Real path of the file that holds it.
          type: str
        line:
          description: Line on which it begins.
          type: int
        sha256:
          description: Checksum of that file as read.
          type: str
        insert_offset:
          description: Byte offset right after its opening brace. Only of nginx.
          type: int
        insert_comment:
          description: >-
            Whether an insertion there may end in a comment. Not where more text follows the brace
            on its line. Only of nginx.
          type: bool
        indent:
          description: What the directives in it are indented by. Only of nginx.
          type: str
        wpward_include:
          description: >-
            C(offset) and C(length) in bytes of the inserted include, and C(path) of what it
            includes; null where there is none. Only of nginx.
          type: dict
        fronts:
          description: Ids of the httpd virtual hosts here that it proxies to. Only of nginx.
          type: list
          elements: str
        tells_client:
          description: >-
            Whether everything that it proxies there tells the client's address last in
            C(X-Forwarded-For). Only of nginx.
          type: bool
        fronted:
          description: >-
            Whether an nginx of this host proxies to it, and every one that does serves its sites
            under the same paths. Only of httpd.
          type: bool
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
          description: Document roots and aliases, those of nested sections among them.
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
        multisite:
          description: >-
            V(subdirectory) or V(subdomain) where it is a network of sites; null where it is not.
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
        locking_plugins:
          description: Plugins among those present that claim to close XML-RPC or user names.
          type: list
          elements: str
        guarded:
          description: Whether this collection's own must-use plugin is there.
          type: bool
        vhosts:
          description: Ids of the virtual hosts that serve it.
          type: list
          elements: str
    processes:
      description: >-
        The running processes of nginx, httpd, php-fpm and MariaDB: C(service), C(role) (V(master)
        or V(worker)), C(pid), C(nofile) with the C(soft) and C(hard) limit from /proc (null for
        unlimited), C(open_fds).
      type: list
      elements: dict
    logs:
      description: The access logs and how far each was read.
      type: list
      elements: dict
      contains:
        path:
          description: The log.
          type: str
        sites:
          description: Ids of the sites whose virtual hosts write it.
          type: list
          elements: str
        format:
          description: Name of its format.
          type: str
        since:
          description: Beginning of the window that was counted.
          type: str
        files:
          description: How many files were read, rotated ones among them.
          type: int
        bytes_read:
          description: Bytes read, after unpacking.
          type: int
        seconds:
          description: What that took.
          type: float
        complete:
          description: Whether the whole window was read.
          type: bool
        extended:
          description: Whether the window was moved back to find the attack's beginning.
          type: bool
        repeats:
          description: >-
            Whether something of it is left out of C(access), because other logs count the same
            requests. httpd logs what it refuses twice, and a server behind another logs once more.
          type: bool
    access:
      description: What the access logs say, one entry per log, site and endpoint.
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
        methods:
          description: Requests by HTTP method; uncommon ones together as C(other).
          type: dict
        timeline:
          description: >-
            Requests over time. C(from) the beginning, C(step) in seconds, and C(counts), for each
            status the number of requests in each step, without gaps.
          type: dict
        networks:
          description: >-
            C(network), C(hits) and number of C(clients) of the twenty busiest networks, /24 of IPv4
            and /48 of IPv6.
          type: list
          elements: dict
        parties:
          description: >-
            Requests whose source lies in the published ranges of a delivery network, a search
            engine or Jetpack, by its name.
          type: dict
        claims:
          description: >-
            What the user agents claim to be, one entry per C(claim), with its C(kind)
            (V(search_bot) or V(publisher)), C(hits), number of C(addresses), C(genuine_hits) from
            ranges published for it (null where none are published) and some C(examples); with
            O(resolve_claims) also C(resolved), which says of each example whether its name is
            V(genuine), V(false) or V(unknown).
          type: list
          elements: dict
    errors:
      description: >-
        What the servers themselves complained about within the window. C(service), C(kind), C(log),
        C(count), C(first), C(last) and one line as a C(sample). httpd writes
        C(httpd_max_request_workers) once after each start, however often it happens. Lines of
        nginx's log can be forged where a site's PHP logs what visitors say.
      type: list
      elements: dict
    now:
      description: >-
        The host at this moment. C(load), C(cpus), C(pressure) (share of time in which something
        waited, in percent; null where the kernel does not tell), C(memory) and C(disks) in bytes,
        C(workers) per service with the memory that is theirs (PSS, in bytes), C(connections) with
        the busiest peers, the C(busiest) processes (1.0 is one core), C(open_files), and what is
        C(incomplete) of these for want of time.
      type: dict
    traps:
      description: >-
        Settings that do something else than was meant. C(id), C(server), C(file), C(line), C(text),
        C(site), one sentence of C(detail), and C(size) in bytes where the trap is a file.
      type: list
      elements: dict
    database:
      description: >-
        MariaDB or MySQL; null where none runs. C(reachable) and otherwise the C(reason),
        C(version), long-running C(statements) (seconds; literals masked), C(tables) that plugins
        use as logs (size in bytes, rows as estimated by the server, whether the column they are
        purged by is indexed), C(slow_log).
      type: dict
    capacity:
      description:
        - What the host has for its web stack and what the stack is configured to take; null where
          no service of it runs. Sizes are bytes.
      type: dict
      contains:
        cpus:
          description: How many processors the web servers may keep busy, by affinity and quota.
          type: float
        memory:
          description:
            C(total) memory that the stack can use, what of it is C(available), and C(limited_by),
            the unit or control group whose limit that is; null where it is the host's own memory.
          type: dict
        nofile_ceiling:
          description: The highest number of open files that systemd can give a service here.
          type: int
        services:
          description:
            - Each running server. Systemd can restart it by itself where it is C(manageable), else
              C(refusal) says why not. C(account) is the user of its workers, C(nofile) the lowest
              and highest soft limit of open files over all of its C(processes), C(worker_pss) the
              proportional set size of its C(workers) (of the database server, which has threads,
              its own), what each has for itself once it has worked (C(private)) and what all of
              them share (C(shared)), C(memory_limit) the lowest memory limit that holds this
              service alone, and C(dropin_directory) where systemd reads more settings of its
              C(unit).
          type: list
          elements: dict
        nginx:
          description:
            - What nginx is configured for; null where it does not run. C(workers) is how many run.
            - C(directives) are the places of these settings in the files, as whole directives;
              C(events) is the place just behind the events block's opening brace, and C(main) that
              just before the block.
          type: dict
        httpd:
          description:
            - The C(values) that are configured for the MPM, what httpd makes of them
              (C(effective)), whether role capacity set any (C(ours)), and in C(overriding) the file
              and line of one that httpd reads behind RV(evidence.httpd.conf_file); null where httpd
              does not run. C(fcgi) holds the C(workers) of mod_proxy that lead to Unix sockets of
              php-fpm, with our limit in C(limit) and another's definition in C(defined), and the
              sockets that are C(passed) by C(ProxyPass) and C(ProxyPassMatch) at C(passes).
          type: dict
        php_fpm:
          description:
            - Each running php-fpm. In C(include_directory) a file C(zz-wpward.conf) would have the
              last word about its C(pools); null where there is no such place. C(process_max) is 0
              for no limit, C(test) the command line that tests the configuration.
            - Of a pool, null stands for what is not configured; C(memory_limit) is that of
              php_admin_value. C(workers), C(pss_mean), C(pss_max), C(private) and C(shared)
              are those of now.
          type: list
          elements: dict
        database:
          description:
            - What the database server is configured to take for all connections (C(buffers)), for
              one (C(per_connection)), how many there can be (C(max_connections)), and its
              proportional set size (C(pss)); null where that is not known.
          type: dict
    firewall:
      description: >-
        The packet filter. Its C(manager), which is what the host uses now, V(firewalld) where it
        runs, V(ufw) or V(csf) where they are enabled, else V(nftables) or V(iptables), whichever
        has rules other than those of fail2ban or of this collection, else whichever is installed;
        null where none is. Whether the commands C(nft) and C(iptables) exist.
      type: dict
    first_aid:
      description: What M(wpward.wordpress.contain) keeps closed; null where it holds nothing.
      type: dict
      contains:
        run:
          description: The temporary run.
          type: str
        until:
          description: When the host puts it back, in UTC.
          type: str
    fail2ban:
      description: fail2ban; null where it is not installed.
      type: dict
      contains:
        version:
          description: As C(fail2ban-client -V) says.
          type: str
          sample: 1.0.2
        active:
          description: Whether it runs.
          type: bool
        enabled:
          description: Whether it starts with the host.
          type: bool
        config_ok:
          description: Whether fail2ban would start with the configuration on disk.
          type: bool
        message:
          description: In fail2ban's own words why it would not; empty otherwise.
          type: str
          sample: "Failed during configuration: Have not found any log file for sshd jail"
        log_target:
          description: Where it logs to, a path or such as V(SYSLOG); null where that is not known.
          type: str
        python_systemd:
          description: Whether its Python can read the journal.
          type: bool
        jails:
          description: >-
            The enabled jails of the configuration on disk, also where it does not run. C(name),
            C(backend) as configured, the C(logs) that exist, and each C(failregex).
          type: list
          elements: dict
    recorder:
      description: The program that records processes, memory and I/O, and what it recorded.
      type: dict
      contains:
        program:
          description: >-
            V(atop), V(sysstat) or V(pcp), the one that runs or else one that is installed; null
            where none is. What pcp recorded is not read.
          type: str
        unit:
          description: Its systemd unit; of sysstat the timer that makes it record.
          type: str
          sample: atop.service
        active:
          description: Whether it records.
          type: bool
        enabled:
          description: Whether it starts with the host.
          type: bool
        interval:
          description: Seconds from one sample to the next; null where that is not known.
          type: int
        kept_days:
          description: Days for which it keeps its files; null where that is not known.
          type: int
        wpward:
          description: >-
            What this collection has set, C(interval) and C(kept_days), null for what it left to
            the operator; null where it has set nothing.
          type: dict
        directory:
          description: Where its files are.
          type: str
          sample: /var/log/atop
        bytes_per_day:
          description: >-
            Size of the largest file of the last seven whole days; null where there is none.
          type: int
        mount:
          description: Where the file system is mounted that the files lie on, or would lie on.
          type: str
        disk_available:
          description: Bytes that it has left for other users than root.
          type: int
        samples:
          description: >-
            What was recorded in the window, oldest first, 1500 at most; of more, the one with the
            highest load of several neighbours. C(at); C(load) of one minute; C(cpu_busy) of all
            processors and C(io_busy) of the busiest disk, as shares (0 to 1) of the time since the
            sample before, null right after a start; C(processes) (of sysstat tasks, threads among
            them); C(running), tasks that ran or waited for a processor; C(memory_available) and
            C(swap_used) in bytes; C(web_workers), processes of php-fpm and httpd that are not
            root's. What a recorder does not write is null.
          type: list
          elements: dict
    log_rotation:
      description: >-
        The sections of logrotate's configuration that rotate access logs of the virtual hosts. None
        where logrotate is not installed.
      type: list
      elements: dict
      contains:
        file:
          description: Real path of the file that holds it.
          type: str
          sample: /etc/logrotate.d/nginx
        sha256:
          description: Checksum of that file as read.
          type: str
        patterns:
          description: The logs that the section names, as they stand there.
          type: list
          elements: str
        logs:
          description: The access logs among them.
          type: list
          elements: str
        server:
          description: V(nginx) or V(httpd).
          type: str
        frequency:
          description: V(hourly), V(daily), V(weekly), V(monthly), V(yearly) or V(size).
          type: str
        period_days:
          description: Days from one rotation to the next; with a size, as the logs grow now.
          type: float
        rotate:
          description: How many rotated files are kept; negative for all.
          type: int
        kept_days:
          description: For how many days that makes; null for ever.
          type: int
        compress:
          description: Whether rotated files are compressed.
          type: bool
        edit:
          description: >-
            Where the number of files stands (C(offset) and C(length) in bytes), and the text
            C(before) that has to be written with it where it does not stand there yet.
          type: dict
        max_age:
          description: >-
            C(value), C(offset) and C(length) of C(maxage), which removes files by their days; null
            where the section has none.
          type: dict
        bytes_per_day:
          description: What the rotated logs of one day take up on the disk, estimated.
          type: int
        refusal:
          description: What logrotate has against the file as it is, one sentence; null for nothing.
          type: str
        mount:
          description: Where the file system of the logs is mounted.
          type: str
        disk_available:
          description: Bytes that it has left for other users than root.
          type: int
    budget:
      description: The parts of the probe, the C(seconds) each took, and whether it was C(complete).
      type: list
      elements: dict
    problems:
      description: >-
        What is missing or could not be read, as C(id) and one sentence (C(message)). Ids:
        V(systemd_missing), V(server_not_roots), V(recorder_incomplete), V(web_server_not_found),
        V(nginx_unusable),
        V(nginx_not_running),
        V(nginx_several), V(nginx_config_invalid), V(nginx_config_unread), V(nginx_files_differ),
        V(httpd_unusable), V(httpd_not_running), V(httpd_several), V(httpd_config_invalid),
        V(httpd_config_unread), V(httpd_files_differ), V(httpd_vhosts_differ), V(root_unknown),
        V(wordpress_not_found), V(wordpress_not_configured), V(content_dir_unknown),
        V(name_not_utf8), V(log_unreadable), V(log_not_a_file), V(log_format_unusable),
        V(log_format_mismatch), V(log_forgeable), V(log_truncated), V(log_time_budget),
        V(error_log_unread), V(errors_incomplete), V(kernel_log_incomplete), V(database_not_asked),
        V(database_unreachable), V(database_partial), V(packet_filter_unread),
        V(fail2ban_unread), V(journal_unread), V(php_fpm_unknown), V(php_fpm_config_unread),
        V(part_failed).
      type: list
      elements: dict
"""

import calendar
import os
import re
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wpward.wordpress.plugins.module_utils import courtesy, evidence

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
            "database_credentials": {"type": "path"},
            "resolve_claims": {"type": "bool", "default": False},
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
    courtesy.step_back()
    request = evidence.Request(
        since,
        time_budget,
        database_credentials=module.params["database_credentials"],
        resolve_claims=module.params["resolve_claims"],
    )
    module.exit_json(changed=False, evidence=evidence.collect(request))


if __name__ == "__main__":
    main()
