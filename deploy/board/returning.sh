#!/bin/sh
# Says to a card on which no node has run that its cluster is not new: an empty control.restored.
# Without it, stores that began empty and the marker of `nodectl init` would read as a first start,
# and a pause that only the other node's card remembers would not count.
#
# usage: returning.sh STATE_DIR USER    (as root; does nothing where a node has run)
set -eu
[ ! -e "$1/control" ] && [ ! -e "$1/control.restored" ] || exit 0
cd /
# as its owner: in a folder of another user, root would follow the links that he puts there
# shellcheck disable=SC2016  # for the other shell
mark='umask 077; mkdir -p "$1"; cd "$1"; : >control.restored.new; sync control.restored.new
mv -f control.restored.new control.restored'
if [ "$(id -un)" = "$2" ]; then
  sh -euc "$mark" sh "$1"
else
  runuser -u "$2" -- sh -euc "$mark" sh "$1"
fi
