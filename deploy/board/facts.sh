#!/bin/sh
# Says what this box is, one `name=value` a line. Changes nothing, needs no root, runs on any sh.
set -u

say() { printf '%s=%s\n' "$1" "$2"; }
first_line() { head -n 1 2>/dev/null; }
has() { command -v "$1" >/dev/null 2>&1; }

if has dpkg; then
  say architecture "$(dpkg --print-architecture)"
else
  say architecture "$(uname -m)"
fi
say glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/^glibc //')"
say systemd "$(systemctl --version 2>/dev/null | first_line | awk '{print $2}')"
say has_apt "$(has apt-get && echo yes || echo no)"
say free_mb "$(df -Pm /opt 2>/dev/null | awk 'NR==2 {print $4}')"

# newest first; the environment of the nodes needs 3.11 to 3.13
for version in 3.13 3.12 3.11; do
  for found in "/usr/bin/python$version" "/usr/local/bin/python$version"; do
    if [ -x "$found" ] && "$found" -I -c 'import ssl, venv, ctypes, zlib' 2>/dev/null; then
      say python "$found"
      say python_version "$("$found" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')"
      break 2
    fi
  done
done

# what an earlier deployment brought, and the running release uses
own=$(readlink -f /opt/hotspare/current/venv/bin/python 2>/dev/null)
case $own in
  /opt/hotspare/python/*)
    sha=${own#/opt/hotspare/python/}
    sha=${sha%%/*}
    if [ -e "/opt/hotspare/cache/$sha" ]; then
      say brought_python "$sha"
      say brought_version "$(basename "$own" | sed 's/^python//')"
    fi
    ;;
esac

# a store is Redis 4 or newer, or any Valkey
for server in redis-server valkey-server; do
  if has "$server"; then
    say store_server "$(command -v "$server")"
    say store_version "$("$server" --version | sed -n 's/.* v=\([0-9.]*\).*/\1/p')"
    break
  fi
done

case $(systemd-analyze syscall-filter @system-service 2>/dev/null | first_line) in
  *system-service*) say knows_system_service yes ;;
  *) say knows_system_service no ;;
esac
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  controllers=/sys/fs/cgroup/cgroup.controllers
else
  controllers=/proc/cgroups # name, hierarchy, groups, enabled
fi
if grep -v '0$' "$controllers" | grep -qw memory; then
  say memory_limit yes
else
  say memory_limit no
fi
say time_synchronised "$(timedatectl show -p NTPSynchronized --value 2>/dev/null ||
  timedatectl status 2>/dev/null | sed -n 's/.*synchronized: *//p')"
# whoever sets the clock: by the names that distributions use, else what timedated knows of
CLOCKS="systemd-timesyncd chrony chronyd ntp ntpd ntpsec openntpd"
timedated() { # PROPERTY -> true or false; `timedatectl show` does not know it before systemd 239
  timeout 30 busctl get-property org.freedesktop.timedate1 /org/freedesktop/timedate1 \
    org.freedesktop.timedate1 "$1" 2>/dev/null | sed -n 's/^b //p'
}
first_that() { # is-active | is-enabled, UNIT...: one at a time, older ones stop at a strange name
  asked=$1
  shift
  for service in "$@"; do
    if systemctl "$asked" -q "$service" 2>/dev/null; then
      echo "$service"
      return
    fi
  done
}
# shellcheck disable=SC2086  # a list of words on purpose
time_service=$(first_that is-active $CLOCKS)
[ -n "$time_service" ] || [ "$(timedated NTP)" != true ] || time_service="a time service"
say time_service "$time_service"
# shellcheck disable=SC2086  # a list of words on purpose
say time_service_enabled "$([ -n "$(first_that is-enabled $CLOCKS)" ] && echo yes || echo no)"
say can_set_ntp "$([ "$(timedated CanNTP)" = true ] && has timedatectl && echo yes || echo no)"

say has_watchdog "$([ -e /dev/watchdog0 ] && echo yes || echo no)"
OWN_WATCHDOG=/etc/systemd/system.conf.d/50-hotspare-watchdog.conf
watchdog_set_by() { # who else has said what becomes of it: a person, the image, another program
  for folder in /etc /run /usr/local/lib /usr/lib /lib; do
    for file in "$folder"/systemd/system.conf "$folder"/systemd/system.conf.d/*.conf; do
      [ "$file" != "$OWN_WATCHDOG" ] || continue
      if grep -qs '^[[:space:]]*RuntimeWatchdogSec[[:space:]]*=' "$file"; then
        echo "$file"
        return
      fi
    done
  done
  if grep -qs 'systemd\.watchdog_sec=' /proc/cmdline; then
    echo "the kernel's command line"
    return
  fi
  program=$(first_that is-active watchdog wd_keepalive)
  if [ -n "${program:=$(first_that is-enabled watchdog wd_keepalive)}" ]; then
    echo "$program.service"
    return
  fi
  # said where no file shows it, by a call for one
  if [ ! -e "$OWN_WATCHDOG" ]; then
    case $(systemctl show -p RuntimeWatchdogUSec 2>/dev/null) in
      RuntimeWatchdogUSec=[1-9]*) echo "a running systemd" ;;
    esac
  fi
}
say watchdog_set_by "$(watchdog_set_by)"
say compatible "$(tr '\0' ' ' 2>/dev/null </proc/device-tree/compatible)"
say addresses "$(hostname -I 2>/dev/null | sed 's/ *$//')"
say user "$(id -un)"
if [ "$(id -u)" = 0 ]; then
  say sudo root
elif has sudo && sudo -n true 2>/dev/null; then
  say sudo free
elif has sudo; then
  say sudo password
else
  say sudo none
fi
say release "$(readlink /opt/hotspare/current 2>/dev/null | sed 's|.*/||')"
say node "$(sed -n 's/^Environment=HOTSPARE_NODE=//p' /etc/systemd/system/hotspare-node.service 2>/dev/null)"
say settings "$(readlink /etc/hotspare/current 2>/dev/null | sed 's|.*/||')"
