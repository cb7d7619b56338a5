#!/bin/sh
# Says to a card on which no node has run that its cluster is not new: an empty control.restored.
# Without it, stores that began empty and the marker of `nodectl init` would read as a first start,
# and a pause that only the other node's card remembers would not count.
#
# usage: returning.sh STATE_DIR USER    (as root; does nothing where a node has run)
set -eu
umask 077
[ ! -e "$1/control" ] && [ ! -e "$1/control.restored" ] || exit 0
mkdir -p "$1"
chown "$2:" "$1"
: >"$1/control.restored.new"
chown "$2:" "$1/control.restored.new"
sync "$1/control.restored.new"
mv -f "$1/control.restored.new" "$1/control.restored"
