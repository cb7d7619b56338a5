#!/bin/sh
# keepalived calls this on every change of state.
#   notify.sh start PIDFILE COMMAND...     (notify_master)
#   notify.sh stop PIDFILE                 (notify_backup, notify_fault, notify_stop)
what=$1
pidfile=$2
shift 2
if [ -s "$pidfile" ]; then
  kill -KILL "$(cat "$pidfile")" 2>/dev/null
  rm -f "$pidfile"
fi
if [ "$what" = start ]; then
  setsid "$@" </dev/null >/dev/null 2>&1 &
  echo $! >"$pidfile"
fi
