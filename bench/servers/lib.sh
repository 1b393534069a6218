# shellcheck shell=bash
# Shared by the scripts that start servers. Sourced, not run.
#
#   BARID_BENCH        what is made once: certificate, unpacked programs (default: barid-bench in $TMPDIR or /tmp)
#   BARID_BENCH_DATA   the servers' mail and configuration, a folder for each (default: data in it)
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=${BARID_BENCH:-${TMPDIR:-/tmp}/barid-bench}
DATA=${BARID_BENCH_DATA:-$ROOT/data}
VUSER=mailbench # the servers' mail is this user's

say() { echo "$*" >&2; }
die() { say "$0: $*"; exit 1; }

# Installs what is missing. RUNLEVEL keeps the packages' own daemons from being started.
need_pkgs() {
    local miss=()
    for p in "$@"; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || miss+=("$p")
    done
    [ ${#miss[@]} -eq 0 ] && return 0
    say "installing ${miss[*]}"
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "${miss[@]}" >&2
}

need_user() {
    id "$VUSER" >/dev/null 2>&1 || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin "$VUSER"
}

# One self-signed P-256 certificate for every server.
need_cert() {
    mkdir -p "$ROOT" "$DATA"
    chmod 755 "$ROOT" "$DATA"
    [ -s "$ROOT/cert.pem" ] && return 0
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$ROOT/key.pem" -out "$ROOT/cert.pem" 2>/dev/null
    chmod 644 "$ROOT/key.pem"
}

# A control group of its own gives a server's whole CPU time, exited children included. Only accounting is touched.
cgroup_dir() { # NAME
    if [ -d /sys/fs/cgroup/cpuacct ]; then
        echo "/sys/fs/cgroup/cpuacct/barid-bench-$1"
    elif [ -f /sys/fs/cgroup/cgroup.controllers ]; then
        echo "/sys/fs/cgroup/barid-bench-$1"
    fi
}
in_cgroup() { # NAME COMMAND...: starts it in the background
    local d
    d=$(cgroup_dir "$1")
    shift
    if [ -n "$d" ] && mkdir -p "$d" 2>/dev/null; then
        ( echo $BASHPID >"$d/cgroup.procs"; exec "$@" ) &
    else
        "$@" &
    fi
}
cgroup_end() { # NAME: waits until the processes are gone, then removes the group
    local d i left
    d=$(cgroup_dir "$1")
    { [ -n "$d" ] && [ -d "$d" ]; } || return 0
    for i in $(seq 100); do
        left=$(cat "$d/cgroup.procs" 2>/dev/null || true)
        [ -n "$left" ] || break
        # shellcheck disable=SC2086
        case $i in
        10) kill $left 2>/dev/null || true ;;
        60) kill -9 $left 2>/dev/null || true ;;
        esac
        sleep 0.1
    done
    rmdir "$d" 2>/dev/null || true
}

wait_port() { # PORT
    for _ in $(seq 150); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
        sleep 0.1
    done
    die "port $1 did not open; see the log"
}
raise_limits() {
    ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
    local f=/proc/sys/fs/inotify/max_user_instances # Dovecot's own advice for IDLE
    [ "$(cat $f)" -ge 16384 ] || echo 16384 >$f 2>/dev/null || say "inotify instances stay at $(cat $f)"
}

# The pid in a file, if that process is still the one that has this text in its command line.
own_pid() { # FILE TEXT
    local p
    [ -s "$1" ] || return 1
    p=$(cat "$1")
    tr '\0' ' ' 2>/dev/null <"/proc/$p/cmdline" | grep -qF -- "$2" || return 1
    echo "$p"
}
end_pid() { # FILE TEXT: asks it to end and waits
    local p
    p=$(own_pid "$1" "$2") || return 0
    kill "$p"
    for _ in $(seq 200); do [ -d "/proc/$p" ] || break; sleep 0.1; done
}
target_tail() { # NAME PID: how mailload finds what the server uses
    local d
    d=$(cgroup_dir "$1")
    if [ -n "$d" ] && [ -d "$d" ]; then echo "cgroup $d"; else echo "pids $2"; fi
}
