#!/bin/sh
# Brings this box to the state that the file `wants` lists, and says what it changed.
#
# usage: apply.sh STAGE [dry]     (as root; STAGE holds `wants` and `files/`)
#
# One want a line, fields separated by tabs:
#   user NAME HOME                       a system user that nobody can log in as
#   dir PATH MODE OWNER
#   file PATH MODE OWNER SOURCE SECRET READER
#                                        SOURCE lies in files/; SECRET is yes or no; READER is the
#                                        unit that reads it at its start alone, or -
#   link PATH TARGET                     switched in one step
#   absent PATH
#   kept PATH | back PATH                a copy beside it; as that copy was
#   packages NAME...                     installed without starting what they bring
#   enabled UNIT | running UNIT FINGERPRINT | started TIMER
#   manager PROPERTY VALUE               of PID 1, as systemctl shows it
#   clock                                some service sets it, at each boot
#
# Prints `same`, `changed` or (dry) `would` with the thing, separated by a tab. What it made is
# noted in $MADE, what it replaced is kept beside it: uninstall.sh gives the box back.
# A file with a secret is never readable by others, not for a moment, and never shown.
set -eu
stage=$1
dry=${2:-}
book=/var/lib/hotspare-deploy
MADE=$book/made
KEPT=$book/before
tab=$(printf '\t')
CLOCKS="systemd-timesyncd chrony chronyd ntp ntpd ntpsec openntpd" # as in facts.sh
GUARD=/usr/sbin/policy-rc.d
GUARD_MARK="# of hotspare's deployment, while a package is installed"
umask 077

tell() { printf "%s\t%s\n" "$1" "$2"; }
changed() { if [ -n "$dry" ]; then tell would "$1"; else tell changed "$1"; fi; }

is_noted() { grep -qxF "$1" "$MADE" 2>/dev/null; }

note() { # what this box did not have before us; on the card before it is made
  if [ -n "$dry" ] || is_noted "$1"; then return 0; fi
  mkdir -p "$book"
  printf '%s\n' "$1" >>"$MADE"
  sync "$MADE"
}

owned() { # PATH -> "mode user:group" as stat says it
  stat -c '%a %U:%G' "$1" 2>/dev/null || true
}

want_user() {
  if getent passwd "$1" >/dev/null; then
    tell same "user $1"
    return
  fi
  changed "user $1"
  [ -z "$dry" ] || return 0
  note "user$tab$1"
  useradd --system --user-group --home-dir "$2" --no-create-home --shell /usr/sbin/nologin "$1"
}

want_dir() {
  path=$1 mode=$2 owner=$3
  if [ -d "$path" ] && [ "$(owned "$path")" = "$mode $owner" ]; then
    tell same "dir $path"
    return
  fi
  changed "dir $path"
  [ -z "$dry" ] || return 0
  [ -d "$path" ] || note "dir$tab$path"
  mkdir -p "$path"
  chown "$owner" "$path"
  chmod "$mode" "$path"
}

want_file() {
  path=$1 mode=$2 owner=$3 source=$stage/files/$4 secret=$5 reader=$6
  # of a run that broke off between file and reader; after a boot it has read everything
  stale=/run/hotspare-deploy/$reader.stale
  if cmp -s "$source" "$path" && [ "$(owned "$path")" = "$mode $owner" ] && [ ! -e "$stale" ]; then
    tell same "file $path"
    return
  fi
  changed "file $path"
  if [ -n "$dry" ]; then
    if [ "$secret" = yes ]; then
      echo "    (holds secrets: not shown)"
    elif [ -e "$path" ]; then
      diff -u "$path" "$source" | sed -n '3,$s/^/    /p' || true
    else
      awk '{ print "    +" $0 }' "$source" # ends its last line, also where the file does not
    fi
    return 0
  fi
  if [ ! -e "$path" ]; then
    note "file$tab$path"
  elif ! is_noted "file$tab$path" && ! is_noted "replaced$tab$path"; then
    mkdir -p "$KEPT$(dirname "$path")"
    cp -p "$path" "$KEPT$path"
    sync "$KEPT$path"
    note "replaced$tab$path"
  fi
  cat "$source" >"$path.new"
  chown "$owner" "$path.new"
  chmod "$mode" "$path.new"
  sync "$path.new"
  if [ "$reader" = - ]; then
    mv -f "$path.new" "$path"
    return
  fi
  mkdir -p /run/hotspare-deploy
  : >"$stale"
  mv -f "$path.new" "$path"
  start_again "$reader"
  rm "$stale"
}

start_again() { # what reads its settings only then
  case $1 in
    systemd-journald.service)
      [ -d /var/log/journal ] || note "dir$tab/var/log/journal"
      systemctl restart "$1"
      journalctl --flush 2>/dev/null || true # where the log was in memory
      ;;
    *) systemctl restart "$1" ;;
  esac
}

want_link() {
  path=$1 target=$2
  if [ "$(readlink "$path" 2>/dev/null)" = "$target" ]; then
    tell same "link $path"
    return
  fi
  changed "link $path -> $target"
  [ -z "$dry" ] || return 0
  [ -e "$path" ] || [ -L "$path" ] || note "file$tab$path"
  ln -sfn "$target" "$path.new"
  mv -fT "$path.new" "$path"
}

want_absent() {
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then
    tell same "absent $1"
    return
  fi
  changed "absent $1"
  [ -n "$dry" ] || rm -rf -- "$1"
}

want_kept() { # a copy, until it is put back or taken away
  tell same "kept $1"
  if [ -n "$dry" ] || [ ! -e "$1" ]; then return 0; fi
  note "file$tab$1.before"
  cp -p "$1" "$1.before.new"
  sync "$1.before.new"
  mv -f "$1.before.new" "$1.before"
}

want_back() {
  if [ ! -e "$1.before" ]; then
    tell same "back $1"
    return
  fi
  if cmp -s "$1.before" "$1"; then tell same "back $1"; else changed "file $1, as it was"; fi
  [ -n "$dry" ] || mv -f "$1.before" "$1"
}

want_packages() { # "NAME NAME ..."
  missing=""
  for package in $1; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
      *"ok installed"*) tell same "package $package" ;;
      *) missing="$missing $package" ;;
    esac
  done
  if [ -n "$missing" ]; then
    changed "packages$missing"
    [ -z "$dry" ] || return 0
    install_packages
  fi
  for package in $1; do
    # also after a run that broke off in between; what was here before us keeps its own server
    is_noted "package$tab$package" || continue
    for unit in $(dpkg -L "$package" | sed -n 's|^/lib/systemd/system/||p;s|^/usr/lib/systemd/system/||p' | grep -v @ | grep 'server\.service$'); do
      [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = enabled ] || continue
      changed "disabled $unit"
      [ -n "$dry" ] || systemctl disable -q --now "$unit" 2>/dev/null || true
    done
  done
}

# on a fresh card the system's own upgrades may be at it; apt before 1.9.11 does not wait
apt_get() { apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null; }

planned_packages() { # what apt would install anew, the packages that come along too
  # shellcheck disable=SC2086  # a list of words on purpose
  apt_get install -s -y -qq --no-install-recommends $missing 2>/dev/null |
    sed -n 's/^Inst \([^ ]*\) (.*/\1/p'
}

install_packages() { # $missing
  # after a power cut in the middle of dpkg, apt refuses everything until this was said
  [ -z "$(dpkg --audit)" ] || dpkg --configure -a >"$stage/apt.log" 2>&1 </dev/null || true
  new=$(planned_packages)
  [ -n "$new" ] || { apt_get update -qq >"$stage/apt.log" 2>&1 && new=$(planned_packages); } || true
  # before it is done: a run that breaks off must not forget what came of it
  for package in ${new:-$missing}; do note "package$tab$package"; done
  # what Debian starts by itself would take the port, and be open to this box alone
  if [ ! -e "$GUARD" ]; then
    printf '#!/bin/sh\n%s\nexit 101\n' "$GUARD_MARK" >"$GUARD"
    chmod 755 "$GUARD"
  fi
  trap remove_guard EXIT
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086  # a list of words on purpose
  apt_get install -y -qq --no-install-recommends $missing >"$stage/apt.log" 2>&1 ||
    { apt_get update -qq && apt_get install -y -qq --no-install-recommends $missing; } \
      >"$stage/apt.log" 2>&1 ||
    { tail -n 5 "$stage/apt.log" >&2; exit 1; }
  remove_guard
  trap - EXIT
}

remove_guard() { # ours alone, also one that a power cut left behind
  if grep -qxF "$GUARD_MARK" "$GUARD" 2>/dev/null; then rm -f "$GUARD"; fi
}

is_new_to_systemd() { [ "$(systemctl show -p NeedDaemonReload "$1" 2>/dev/null)" = NeedDaemonReload=yes ]; }

want_enabled() {
  if [ "$(systemctl is-enabled "$1" 2>/dev/null)" = enabled ]; then
    tell same "enabled $1"
    return
  fi
  changed "enabled $1"
  [ -z "$dry" ] || return 0
  systemctl daemon-reload
  systemctl enable -q "$1"
  note "unit$tab$1"
}

running_fingerprint() { # noted by ExecStartPre at each start, gone with a reboot
  systemctl is-active -q "$1" || return 0
  cat "/run/hotspare-deploy/$1" 2>/dev/null || true
}

want_running() {
  # what runs is asked, not what was done: a deployment that broke off half-way is seen
  if [ "$(running_fingerprint "$1")" = "$2" ] && ! is_new_to_systemd "$1"; then
    tell same "running $1"
    return
  fi
  changed "running $1"
  [ -z "$dry" ] || return 0
  systemctl daemon-reload
  systemctl restart "$1"
}

want_started() { # a timer
  if systemctl is-active -q "$1" && ! is_new_to_systemd "$1" &&
    ! is_new_to_systemd "${1%.timer}.service"; then
    tell same "started $1"
    return
  fi
  changed "started $1"
  [ -z "$dry" ] || return 0
  systemctl daemon-reload
  systemctl restart "$1"
}

manager_has() { systemctl show -p "$1" 2>/dev/null || true; }

want_manager() { # PID 1 reads its own settings when it starts; it can do so with all units running
  if [ "$(manager_has "$1")" = "$1=$2" ]; then
    tell same "systemd $1=$2"
    return
  fi
  changed "systemd $1=$2"
  [ -z "$dry" ] || return 0
  note "manager$tab$1"
  systemctl daemon-reexec
  tries=0
  until [ -n "$(manager_has "$1")" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "systemd does not answer since it started anew" >&2; exit 1; }
    sleep 1
  done
  now=$(manager_has "$1")
  [ "$now" = "$1=$2" ] || echo "note: systemd keeps $now: something else says so on this box"
}

want_clock() {
  for unit in $CLOCKS; do
    if systemctl is-active -q "$unit" 2>/dev/null || systemctl is-enabled -q "$unit" 2>/dev/null; then
      tell same "clock set by $unit"
      return
    fi
  done
  changed "clock set from the network (timedatectl set-ntp true)"
  [ -z "$dry" ] || return 0
  for unit in $CLOCKS; do # whichever it takes: none was switched on before
    case $(systemctl show -p LoadState "$unit" 2>/dev/null) in
      *=loaded) note "clock$tab$unit.service" ;;
    esac
  done
  timedatectl set-ntp true ||
    echo "note: the clock is set by nothing still; see \`timedatectl status\` there"
}

if [ -z "$dry" ]; then
  # one at a time: what a lost laptop began may still be at work
  exec 9>/run/hotspare-deploy.lock
  flock -w 900 9 || { echo "another deployment is still at work on this box" >&2; exit 1; }
  remove_guard
fi
while IFS="$tab" read -r kind a b c d e f; do
  case $kind in
    user) want_user "$a" "$b" ;;
    dir) want_dir "$a" "$b" "$c" ;;
    file) want_file "$a" "$b" "$c" "$d" "$e" "$f" ;;
    link) want_link "$a" "$b" ;;
    absent) want_absent "$a" ;;
    kept) want_kept "$a" ;;
    back) want_back "$a" ;;
    packages) want_packages "$a" ;;
    enabled) want_enabled "$a" ;;
    running) want_running "$a" "$b" ;;
    started) want_started "$a" ;;
    manager) want_manager "$a" "$b" ;;
    clock) want_clock ;;
    '') ;;
    *) echo "apply.sh: unknown want: $kind" >&2 && exit 2 ;;
  esac
done <"$stage/wants"
