# Whether a unit runs and each process of its server may open so many files. The kernel is asked, because systemd gives
# less than it is told where it may not give more, and says nothing of it (systemd 252).
# Arguments: the unit, the number (0: whatever it is). No apostrophe in here: the role cuts this text out of messages.
unit=$1 wanted=$2
state=$(systemctl show --property ActiveState --value "$unit")
if [ "$state" != active ]; then
    echo "$unit is $state" >&2
    exit 1
fi
main=$(systemctl show --property MainPID --value "$unit")
group=$(systemctl show --property ControlGroup --value "$unit")
set --
for pid in $(find /sys/fs/cgroup"$group" /sys/fs/cgroup/*"$group" -name cgroup.procs -exec cat {} + 2> /dev/null |
    sort -un); do
    # A program that the server has started, as PHP does, may have limits of its own.
    if [ "/proc/$pid/exe" -ef "/proc/$main/exe" ]; then
        set -- "$@" "/proc/$pid/limits"
    fi
done
if [ $# -eq 0 ]; then
    echo "$unit has no process" >&2
    exit 1
fi
# A process may end meanwhile.
low=$(grep -H "^Max open files" "$@" 2> /dev/null | while read -r place _ _ soft _; do
    if [ "$soft" != unlimited ] && [ "$soft" -lt "$wanted" ]; then
        pid=${place#/proc/}
        echo "process ${pid%%/*} of $unit may open $soft files, not $wanted"
        break
    fi
done)
if [ -n "$low" ]; then
    echo "$low" >&2
    exit 1
fi
