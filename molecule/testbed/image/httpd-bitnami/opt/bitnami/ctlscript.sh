#!/bin/sh
# ctlscript.sh start|stop|restart|status [mariadb|php-fpm|apache]
set -u
root=/opt/bitnami

usage() {
    echo "usage: $0 (start|stop|restart|status) [mariadb|php-fpm|apache]" >&2
    exit 1
}

pid_file() {
    case $1 in
        mariadb) echo $root/mariadb/tmp/mysqld.pid ;;
        php-fpm) echo $root/php/var/run/php5-fpm.pid ;;
        apache) echo $root/apache/var/run/httpd.pid ;;
    esac
}

# A pid file that a crash left behind may name somebody else's process by now.
running() {
    pid=$(cat "$(pid_file "$1")" 2>/dev/null) && [ -n "$pid" ] || return 1
    grep -qs "$root/" "/proc/$pid/cmdline"
}

wait_for() {
    tries=0
    until [ "$2" = "$(running "$1" && echo up || echo down)" ]; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || { echo "$1 is not $2 after 30 s" >&2; exit 1; }
        sleep 0.1
    done
}

start() {
    if ! running "$1"; then
        case $1 in
            mariadb)
                setsid $root/mariadb/sbin/mysqld --defaults-file=$root/mariadb/conf/my.cnf \
                    < /dev/null >> $root/mariadb/logs/mysqld.log 2>&1 &
                ;;
            php-fpm)
                $root/php/sbin/php-fpm --fpm-config $root/php/etc/php-fpm.conf \
                    -c $root/php/etc/php.ini || exit 1
                ;;
            apache) $root/apache/bin/apachectl start || exit 1 ;;
        esac
        wait_for "$1" up
    fi
    echo "$1 started"
}

stop() {
    if running "$1"; then
        kill -TERM "$(cat "$(pid_file "$1")")"
        wait_for "$1" down
    fi
    echo "$1 stopped"
}

status() {
    if running "$1"; then echo "$1 already running"; else echo "$1 not running"; fi
}

[ $# -eq 1 ] || [ $# -eq 2 ] || usage
case ${2:-} in
    '') services='mariadb php-fpm apache'; backwards='apache php-fpm mariadb' ;;
    mariadb | php-fpm | apache) services=$2; backwards=$2 ;;
    *) usage ;;
esac
case $1 in
    start | status) for service in $services; do "$1" "$service"; done ;;
    stop) for service in $backwards; do stop "$service"; done ;;
    restart)
        for service in $backwards; do stop "$service"; done
        for service in $services; do start "$service"; done
        ;;
    *) usage ;;
esac
