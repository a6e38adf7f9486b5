# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings that rest on error logs, on the host's state and on the database."""

from __future__ import annotations

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import HIGH, LOW, MEDIUM
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_kind import (
    CAPACITY,
    DATABASE,
    RECORDER,
    Kind,
)

_WORKER_MEMORY = """\
# mean memory of one worker in MiB; shared pages counted once (PSS)
for p in $(pgrep 'apache2|httpd|php-fpm'); do awk '/^Pss:/{s+=$2} END{print s/1024}' \\
  /proc/$p/smaps_rollup; done | awk '{s+=$1} END{if (NR) print s/NR, "MiB in", NR, "workers"}'
free -m"""

KINDS = (
    Kind(
        "workers_exhausted",
        "httpd had no worker left",
        HIGH,
        "httpd reached MaxRequestWorkers (MaxClients): further visitors wait in a queue and see a "
        "site that hangs. httpd notes this once per start, so one line can stand for hours. "
        "Raising the limit does not help where an attack is the cause: the machine runs out of "
        "memory instead.",
        "While sites are attacked, shutting the door comes first. Then the number of workers is "
        "made to follow from what one of them takes and from the memory that the database and the "
        "system leave: it is lowered where it does not fit, and raised only where there is room. "
        "The report shows the arithmetic.",
        "Find out who holds the workers, shut that out, and set the limit to what the memory "
        "carries: (memory - what the database and the system need) / memory of one worker.",
        shell=_WORKER_MEMORY,
        httpd="# prefork; ServerLimit must not be below it\nServerLimit 40\nMaxRequestWorkers 40",
        remedies=(CAPACITY, RECORDER),
    ),
    Kind(
        "fpm_exhausted",
        "php-fpm had no worker left",
        HIGH,
        "php-fpm reached pm.max_children: requests wait for a free PHP worker. It notes the first "
        "time and, until it has started workers again, no other. Without an attack one or two such "
        "lines are a burst of visitors, and medium; more are an overload.",
        "While sites are attacked, shutting the door comes first. Then pm.max_children of each "
        "pool is made to follow from the memory of one worker; pools share what there is.",
        "See what the workers are busy with, shut out what does not belong there, and let "
        "pm.max_children follow from the memory of one worker.",
        shell=_WORKER_MEMORY + "\n# then pm.max_children in the pool's file, and\n"
        "php-fpm8.2 -t && systemctl reload php8.2-fpm",
        remedies=(CAPACITY,),
    ),
    Kind(
        "connections_exhausted",
        "nginx had no connection left",
        HIGH,
        "nginx reached worker_connections and dropped connections. A request that is passed on "
        "takes two. A server that passes requests on to itself eats any number: see self_proxy.",
        "While sites are attacked or a loop exists, those come first. Then worker_connections goes "
        "up to 4096 or more, never above half of the open files that each process may have.",
        "Remove a loop if there is one; then raise worker_connections together with the limit of "
        "open files.",
        nginx="worker_rlimit_nofile 8192;\nevents { worker_connections 4096; }",
        remedies=(CAPACITY,),
    ),
    Kind(
        "open_files_exhausted",
        "Too many open files",
        HIGH,
        "A service reached its limit of open files, or is about to: it cannot accept connections, "
        "read files or reach PHP any more. systemd's limit counts, not limits.conf.",
        "While sites are attacked or a loop exists, those come first. Then a drop-in of each "
        "service's unit raises the limit, never above what the host can give, one service after "
        "the other is restarted, and the limit is read back from every running process.",
        "Raise the limit where it acts, and look at what the running process really has. A reload "
        "is not enough, and httpd on Debian has its own limit in envvars.",
        shell="systemctl edit nginx         # [Service] LimitNOFILE=16384\n"
        "systemctl restart nginx\n"
        "grep 'open files' /proc/$(systemctl show -p MainPID --value nginx)/limits",
        nginx="worker_rlimit_nofile 8192;",
        httpd="# Debian: /etc/apache2/envvars\nAPACHE_ULIMIT_MAX_FILES='ulimit -n 16384'",
        remedies=(CAPACITY,),
    ),
    Kind(
        "php_not_answering",
        "PHP did not answer the web server",
        MEDIUM,
        "nginx waited for PHP in vain (timed out) or found nobody there (refused). It is what "
        "visitors see when all PHP workers are taken, or when php-fpm is down.",
        "Nothing of its own: what takes the workers is another finding.",
        "See whether php-fpm runs and what its workers do.",
        shell="systemctl status 'php*-fpm'\nls -l /run/php/\n"
        "tail -n 50 /var/log/php*-fpm.log /var/log/php-fpm/error.log 2>/dev/null",
    ),
    Kind(
        "out_of_memory",
        "The kernel killed processes for want of memory",
        HIGH,
        "Memory ran out and the kernel chose a victim, often the database. More workers than the "
        "memory carries make this certain as soon as somebody asks for all of them.",
        "The number of workers is lowered to what the memory carries beside the database and the "
        "system, and a recorder notes processes and memory each minute: it shows the next time "
        "what grew.",
        "Lower the number of workers to what fits, and look at who was killed.",
        shell="journalctl -k --no-pager | grep -i 'out of memory' | tail\n" + _WORKER_MEMORY,
        remedies=(CAPACITY, RECORDER),
    ),
    Kind(
        "swapping",
        "The host is short of memory",
        HIGH,
        "Processes wait for memory that has to come back from the disk: everything takes minutes, "
        "a login by SSH too. Adding workers makes it worse.",
        "The number of workers is lowered to what the memory carries, and a recorder notes what "
        "takes it.",
        "Lower the number of workers now, restart what has grown, and shut the attack out.",
        shell="cat /proc/pressure/memory; free -m; vmstat 1 5\n" + _WORKER_MEMORY,
        remedies=(CAPACITY, RECORDER),
    ),
    Kind(
        "disk_full",
        "A disk is nearly full",
        HIGH,
        "Soon logs, sessions or the database cannot be written. Floods fill logs; a log named "
        "`off` (see error_log_off) fills unseen.",
        "Nothing is deleted by itself.",
        "Find what has grown. Do not delete a log that a process has open: truncate it.",
        shell="df -h; df -i\ndu -xh --max-depth=3 /var | sort -h | tail -20\n"
        "truncate -s 0 /path/to/the/log",
    ),
    Kind(
        "workers_oversized",
        "More httpd workers are allowed than the memory carries",
        MEDIUM,
        "The configured number of httpd processes, or of the workers of php-fpm's pools, times the "
        "memory of one is more than the host has beside the database and the system. That is not "
        "seen until a flood asks for all of them; then the host swaps to death instead of "
        "refusing.",
        "A value that does not fit is lowered to what does, with the arithmetic in the report; "
        "the service is restarted once, and each site has to answer a page after that.",
        "Set MaxRequestWorkers, or pm.max_children of each pool, to what fits.",
        shell=_WORKER_MEMORY,
        httpd="# prefork; ServerLimit must not be below it\nServerLimit 40\nMaxRequestWorkers 40",
        remedies=(CAPACITY,),
    ),
    Kind(
        "database_long_statement",
        "A statement holds the database up",
        HIGH,
        "A statement has been changing or reading a large table for a long time while the site "
        "waits. Typically it is the daily purge of a plugin's log table that an attack has filled.",
        "A purge that runs already is waited for; it is killed only on request "
        "(`wpward_database_running_purge: kill`), since undoing its work takes about as long as it "
        "has run. Then the purge column gets an index, and once the run is confirmed the old rows "
        "go in small batches.",
        "Let it finish if it is near its end: a statement that is killed late has to undo its "
        "work, which takes as long again. Then see to the table and its index.",
        shell="mysql -e 'SHOW FULL PROCESSLIST'\n"
        "mysql -e 'SELECT trx_mysql_thread_id, trx_rows_modified "
        "FROM information_schema.innodb_trx'",
        remedies=(DATABASE,),
    ),
    Kind(
        "audit_table_large",
        "A plugin's log table is far too large",
        MEDIUM,
        "A security plugin wrote a row for each failed login of an attack, maybe days ago. The "
        "attack is over; purging the table still takes the server's time every day.",
        "When the run is proven and confirmed, rows older than 30 days "
        "(`wpward_database_retention_days`) are removed in batches by primary key, with pauses; "
        "that stops where the load rises or replicas fall behind, and the next run goes on from "
        "there. Deleted rows do not come back by a rollback. Tables that this collection does not "
        "know as a log are never touched.",
        "Delete the old rows in batches until none is left. One large DELETE holds locks for as "
        "long as it takes.",
        shell="""\
# All-In-One Security: created is in seconds since the epoch; keeps 7 days
while [ "$(mysql -N DATABASE -e 'DELETE FROM wp_aiowps_audit_log
  WHERE created < UNIX_TIMESTAMP() - 7*86400 LIMIT 5000; SELECT ROW_COUNT()')" -gt 0 ]
do sleep 1; done""",
        remedies=(DATABASE,),
    ),
    Kind(
        "audit_index_missing",
        "A plugin purges its log table without an index",
        HIGH,
        "The column by which old rows are deleted has no index, so that every purge reads the "
        "whole table, every day.",
        "The index is added online, without a lock on the table, and not at all where the disk has "
        "no room for it. A rollback leaves it in place.",
        "Add the index. It reads the table once and does not lock it.",
        shell="mysql DATABASE -e 'ALTER TABLE wp_aiowps_audit_log ADD INDEX created (created), "
        "ALGORITHM=INPLACE, LOCK=NONE'",
        remedies=(DATABASE,),
    ),
    Kind(
        "slow_log_off",
        "The database keeps no slow log",
        LOW,
        "The database is in trouble and does not note which statements take long. The slow log is "
        "what leads to the site and the table.",
        "It is switched on for statements over 4 seconds, at once and by a drop-in for the next "
        "start; the database is not restarted for it.",
        "Switch it on now, and in a drop-in for the next start.",
        shell="mysql -e 'SET GLOBAL slow_query_log=1, GLOBAL long_query_time=4'\n"
        "printf '[mysqld]\\nslow_query_log=1\\nlong_query_time=4\\n' "
        "> /etc/mysql/mariadb.conf.d/90-slow.cnf",
        remedies=(DATABASE,),
    ),
    Kind(
        "recorder_missing",
        "No recorder runs on this host",
        LOW,
        "The host is attacked or in trouble, and nothing writes down each minute how many "
        "processes there are and where memory, CPU and I/O go. After a restart nobody can tell "
        "what filled the memory. A recorder that writes every ten minutes, as atop and sysstat do "
        "unless told otherwise, misses a host that dies in three.",
        "A recorder is installed (atop on Debian and Ubuntu, sysstat on the RHEL family; one that "
        "runs stays) that takes a sample each minute and keeps a bounded number of days; a later "
        "probe puts what it wrote under the plot of the requests.",
        "Install one and set its interval to 60 seconds.",
        shell="apt-get install atop\n"
        "sed -i 's/^LOGINTERVAL=.*/LOGINTERVAL=60/' /etc/default/atop\n"
        "systemctl enable atop && systemctl restart atop\n"
        "atop -r       # b goes to a time, t forward, T back\n"
        "# RHEL: dnf install sysstat; OnCalendar=*:0/1:00 by systemctl edit sysstat-collect.timer",
        remedies=(RECORDER,),
    ),
    Kind(
        "logs_kept_short",
        "Web logs are kept for a short time only",
        LOW,
        "The site was attacked, and the web server's logs are deleted after fewer days than pass "
        "until somebody asks when it began and who it was.",
        "logrotate keeps more of the old logs, after an estimate of the disk that they take; where "
        "that would not fit, nothing is changed and the role says so.",
        "Look at how large the old logs are, then keep more of them.",
        shell="du -sh /var/log/nginx /var/log/apache2 /var/log/httpd 2>/dev/null; df -h /var/log\n"
        "# `rotate 30` beside `daily` in /etc/logrotate.d/nginx or apache2 (RHEL: httpd)\n"
        "logrotate -d /etc/logrotate.d/nginx",
        remedies=(RECORDER,),
    ),
    Kind(
        "evidence_partial",
        "Not everything could be read",
        LOW,
        "A part of the evidence is missing or was cut short by its time budget. What was read "
        "stands; what was not read may hold more.",
        "Nothing: the judgement says what it rests on.",
        "Run the probe again with more time (`probe_time_budget`) or a shorter window "
        "(`wpward_since`), and see to what the message names.",
        shell="ansible-playbook wpward.wordpress.probe -i inventory -e probe_time_budget=120",
    ),
)
