# Makes fail2ban use the files as they are now: with our jails it runs, without them it is as it was before the run.
# So a rollback, which repeats this after it has put the files back, needs nothing else.
# Arguments: our jail file, our directory under /run, whether fail2ban ran before, whether it started at boot (yes, no).
jails=$1 directory=$2 ran=$3 started_at_boot=$4
command -v fail2ban-client > /dev/null || exit 0

answers() {
    systemctl is-active --quiet fail2ban && fail2ban-client ping > /dev/null 2>&1
}

our_jails() {
    fail2ban-client status | sed -n 's/.*Jail list:[[:space:]]*//p' | tr -d ',' | tr ' ' '\n' | grep '^wpward-'
}

run() {
    # systemctl start says nothing of a configuration that fail2ban refuses a moment later.
    if answers; then
        # A jail whose action is another one now would have none at all after a reload (fail2ban 1.0.2 and 1.1.0). One
        # that is stopped starts anew, and bans again whom it had banned.
        our_jails | sed 's/^/stop /' | fail2ban-client -i > /dev/null 2>&1
        fail2ban-client reload > /dev/null
    else
        systemctl reset-failed fail2ban 2> /dev/null
        systemctl restart fail2ban
    fi || exit 1
    tries=0
    until answers; do
        tries=$((tries + 1))
        if [ "$tries" -gt 60 ]; then
            echo "fail2ban does not start:" >&2
            fail2ban-client -t >&2
            exit 1
        fi
        sleep 0.5
    done
}

lift_our_bans() {
    # A ban that is only in fail2ban's database would come back with the jail.
    for jail in $(our_jails); do
        fail2ban-client get "$jail" banip | xargs -r -n 500 fail2ban-client set "$jail" unbanip > /dev/null
    done
}

if [ -e "$jails" ]; then
    systemctl enable --quiet fail2ban || exit 1
    run
    exit 0
fi
answers && lift_our_bans
if [ "$ran" = yes ]; then
    run
else
    systemctl stop fail2ban || exit 1
fi
[ "$started_at_boot" = yes ] || systemctl disable --quiet fail2ban || exit 1
rm -rf "$directory/banned" "$directory/jails" "$directory/editors" "$directory/lock"
[ ! -d "$directory" ] || rmdir --ignore-fail-on-non-empty "$directory"
