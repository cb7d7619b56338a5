#!/bin/sh
# Says which files of a release are not here, after taking over those of earlier releases that are
# the same: only what is new is sent.
#
# usage: missing_files.sh STAGE ID    (as root; STAGE holds `sums`, lines of "sha256  name")
#
# Prints `complete` when that release is built already, else the missing files' names.
set -eu
id=$2
umask 022
if [ -e "/opt/hotspare/releases/$id/complete" ]; then
  echo complete
  exit 0
fi
here=/opt/hotspare/cache/$id
mkdir -p "$here"
is_it() { [ -e "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$2" ]; }
while read -r sha name; do
  if is_it "$here/$name" "$sha"; then continue; fi
  for found in /opt/hotspare/cache/*/"$name"; do
    if is_it "$found" "$sha"; then
      ln -f "$found" "$here/$name"
      continue 2
    fi
  done
  printf '%s\n' "$name"
done <"$1/sums"
