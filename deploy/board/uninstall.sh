#!/bin/sh
# Gives the box back as it was found: everything that a deployment noted, newest first.
#
# usage: uninstall.sh [keep-state] [dry]     (as root)
#
# Files that were replaced come back; packages that were installed go; what was there before stays.
# With keep-state journal, epoch and logs stay in /var/lib/hotspare.
set -eu
export DEBIAN_FRONTEND=noninteractive
keep=no dry=no
for word in "$@"; do
  case $word in
    keep-state) keep=yes ;;
    dry) dry=yes ;;
  esac
done
book=/var/lib/hotspare-deploy
tab=$(printf '\t')

if [ ! -e "$book/made" ]; then
  printf 'same\tnothing of hotspare is here\n'
  exit 0
fi
if [ "$dry" = no ]; then
  # one at a time: what a lost laptop began may still be at work
  exec 9>/run/hotspare-deploy.lock
  flock -w 900 9 || { echo "another deployment is still at work on this box" >&2; exit 1; }
fi
tell() { if [ "$dry" = yes ]; then printf 'would\t%s\n' "$1"; else printf 'changed\t%s\n' "$1"; fi; }
do_it() { [ "$dry" = yes ] || "$@"; }

apt_get() { apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null; } # nightly upgrades may be at it

remove_package() { # only if nothing goes with it that we did not bring
  case $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) in
    *" installed" | *" config-files") ;;
    *) return 0 ;;
  esac
  for goes in $(apt_get purge -s -qq "$1" 2>/dev/null | sed -n 's/^Purg \([^ ]*\).*/\1/p'); do
    if ! grep -qxF "package$tab$goes" "$book/made"; then
      echo "package $1 stays: $goes uses it by now"
      return 0
    fi
  done
  tell "remove package $1"
  do_it apt_get purge -y -qq "$1" >/dev/null
}

for unit in hotspare-node hotspare-paper hotspare-store hotspare-backup; do
  for kind in timer service; do
    [ -e "/etc/systemd/system/$unit.$kind" ] || continue
    tell "stop $unit.$kind"
    do_it systemctl disable -q --now "$unit.$kind" 2>/dev/null || true
  done
done

# newest first, so that folders are empty when their turn comes
sed -n '1!G;h;$p' "$book/made" >"$book/made.reversed"
while IFS="$tab" read -r kind what; do
  case $kind in
    file)
      [ -e "$what" ] || [ -L "$what" ] || continue
      tell "remove $what"
      do_it rm -f -- "$what"
      ;;
    replaced)
      tell "restore $what"
      do_it cp -p "$book/before$what" "$what"
      ;;
    dir)
      case $what in
        /var/lib/hotspare | /var/backups/hotspare | /var/log/journal)
          if [ "$keep" = yes ]; then
            continue
          fi
          ;;
      esac
      [ -d "$what" ] || continue
      case $what in
        /var/log/journal) tell "remove $what" ;; # below, when nothing writes there any more
        /opt/hotspare* | /etc/hotspare* | /var/lib/hotspare* | /var/backups/hotspare*)
          tell "remove $what"
          do_it rm -rf -- "$what"
          ;;
        *)
          # a folder of the system: only if nobody else uses it by now
          if [ "$dry" = yes ] || rmdir "$what" 2>/dev/null; then tell "remove $what"; fi
          ;;
      esac
      ;;
    clock)
      systemctl is-enabled -q "$what" 2>/dev/null || continue
      tell "switch off $what"
      do_it systemctl disable -q --now "$what" 2>/dev/null || true
      ;;
    manager)
      tell "give back systemd's $what"
      ;;
    package)
      remove_package "$what"
      ;;
    user)
      if [ "$keep" = yes ]; then
        continue # its files stay, and a number without a name would be anybody's
      fi
      getent passwd "$what" >/dev/null || continue
      tell "remove user $what"
      do_it userdel "$what"
      ;;
  esac
done <"$book/made.reversed"

if [ "$dry" = yes ]; then
  rm -f "$book/made.reversed"
  exit 0
fi
rm -rf /var/lib/hotspare-paper
rm -rf /run/hotspare-deploy /run/hotspare-deploy.lock
rm -f /var/lib/systemd/timers/stamp-hotspare-backup.timer
if grep -q "^manager$tab" "$book/made"; then
  systemctl daemon-reexec # its own settings too
else
  systemctl daemon-reload
fi
if grep -qxF "file$tab/etc/systemd/journald.conf.d/60-hotspare.conf" "$book/made"; then
  systemctl restart systemd-journald.service # it keeps its log as before
fi
if [ "$keep" != yes ] && grep -qxF "dir$tab/var/log/journal" "$book/made"; then
  # only now: told to keep its log on the card, journald makes the folder again at the next line
  rm -rf /var/log/journal
  systemctl restart systemd-journald.service
fi
systemctl reset-failed 'hotspare-*' 2>/dev/null || true
# last: until then a run that broke off is typed again
if [ "$keep" = yes ]; then
  # what stays is ours still: a later run takes it away, also after another deployment
  grep -E "^(user$tab|dir$tab(/var/lib/hotspare|/var/backups/hotspare|/var/log/journal)\$)" \
    "$book/made" >"$book/made.kept" || true
  if [ -s "$book/made.kept" ]; then
    sync "$book/made.kept"
    mv -f "$book/made.kept" "$book/made"
    rm -rf "$book/before" "$book/made.reversed"
    exit 0
  fi
fi
rm -rf "$book"
