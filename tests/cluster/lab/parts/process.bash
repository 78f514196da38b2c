# Where things are, and the processes of a lab: begun, waited for, ended.
#
# A process is known by its id and its start time, so that no other is ever killed for it.

lab=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
repository=$(cd "$lab/../../.." && pwd)
mkdir -p "${CARGO_TARGET_DIR:-$repository/target}"
target=$(cd "${CARGO_TARGET_DIR:-$repository/target}" && pwd)
bin=${ISOCAST_LAB_CACHE:-$repository/.tools/lab}

# Not all users have these in theirs, and some of the programs are there.
PATH=$PATH:/usr/sbin:/sbin
# The lab talks with itself only.
unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy

say() { echo "lab: $*" >&2; }
refuse() {
    say "$*"
    exit 1
}

# need COMMAND…
need() {
    local command missing=()
    for command in "$@"; do
        command -v "$command" >/dev/null || missing+=("$command")
    done
    ((${#missing[@]} == 0)) || refuse "not installed: ${missing[*]}; run \`make tools\`"
}

need_programs() { "$lab/build"; }

kubectl() { "$bin/kubernetes" kubectl --kubeconfig="$run/admin.kubeconfig" --request-timeout=10s "$@"; }

# start NAME COMMAND…: in the background, in $run, logged in $run/logs.
start() {
    local name=$1
    shift
    mkdir -p "$run/logs" "$run/pids"
    (cd "$run" && exec setsid "$@" >"logs/$name.log" 2>&1 </dev/null 9>&-) &
    echo "$! $(started_at $!)" >"$run/pids/$name"
    # Or bash would tell of its end.
    disown
}

# started_at PID: in clock ticks since the machine's boot; empty if there is no such process.
started_at() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # The name in parentheses may hold spaces; the start time is the 20th field after it.
    awk '{ print $20 }' <<<"${stat##*) }"
}

is_running() {
    local pid began
    read -r pid began <"$run/pids/$1" && [[ -n $began && $(started_at "$pid") == "$began" ]] && ! is_zombie "$pid"
}

is_zombie() { grep -qs '^State:.*Z' "/proc/$1/status"; }
is_gone() { ! is_running "$1"; }

# kill_process NAME…: at once. What a lab has stored goes with it, so there is nothing to save.
kill_process() {
    local name pid
    for name in "$@"; do
        [[ -f $run/pids/$name ]] || continue
        if is_running "$name"; then
            read -r pid _ <"$run/pids/$name"
            # It leads a group of its own.
            kill -KILL -- "-$pid" 2>/dev/null || true
            wait_for 10 is_gone "$name"
        fi
        rm -f "$run/pids/$name"
    done
}

processes() { [[ ! -d $run/pids ]] || ls "$run/pids"; }

# wait_for SECONDS COMMAND…: until it succeeds.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= until)); then
            say "gave up waiting for: $*; logs are in $run/logs"
            return 1
        fi
        sleep 0.1
    done
}

# wait_for_process SECONDS NAME COMMAND…: the same, but not for a process that has ended.
wait_for_process() {
    local seconds=$1 name=$2
    shift 2
    wait_for "$seconds" eval "is_gone $name || $*"
    if is_gone "$name"; then
        say "$name ended: $(tail -n 3 "$run/logs/$name.log")"
        return 1
    fi
}

# end_with PID: this lab goes down as soon as that process is gone, however it ended.
end_with() {
    LAB_RUN=$run start watch bash -c 'tail --pid="$1" -s 0.5 -f /dev/null; exec "$2" down' watch "$1" "$lab/$(basename "$0")"
}
