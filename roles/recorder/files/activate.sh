# Makes the recorder use the files as they are now: with our drop-in it runs, without it it is as it was before the run.
# So a rollback, which repeats this after it has put the files back, needs nothing else.
# Arguments: our drop-in, the unit, the recorder, the wanted interval in seconds, and each yes or no: whether the unit
# ran before, whether it started at boot, whether its package was installed for this.
drop_in=$1 unit=$2 recorder=$3 interval=$4 ran=$5 started_at_boot=$6 installed=$7

# The package's other units, which were not there before either.
beside() {
    [ "$installed" = yes ] || return 0
    for one in atop-rotate.timer atopacct.service sysstat.service; do
        case $one in
            "$recorder"*) [ "$(systemctl show --property LoadState --value $one)" != loaded ] || echo $one ;;
        esac
    done
}

records_as_wanted() {
    systemctl is-active --quiet "$unit" || return 1
    [ "$recorder" = atop ] || return 1
    # Each start costs a sample: it counts from the host's boot on.
    running=$(tr '\0' '\n' < "/proc/$(systemctl show --property MainPID --value "$unit")/cmdline" | tail -n 1)
    [ "$running" = "$interval" ]
}

systemctl daemon-reload || exit 1
if [ -e "$drop_in" ]; then
    systemctl enable --quiet "$unit" || exit 1
    records_as_wanted || systemctl restart "$unit" || exit 1
    # Where process accounting is in use or not to be had, atop does without it.
    for one in $(beside); do
        systemctl enable --quiet --now "$one" 2> /dev/null
    done
    exit 0
fi
if [ "$ran" = yes ]; then
    systemctl restart "$unit" || exit 1
else
    systemctl stop "$unit" $(beside) || exit 1
fi
[ "$started_at_boot" = yes ] || systemctl disable --quiet "$unit" $(beside) || exit 1
