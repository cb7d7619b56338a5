#!/bin/sh
# Says which of the files that a release needs are here already, and whether it is complete.
# usage: have.sh ID
set -eu
[ ! -e "/opt/hotspare/releases/$1/complete" ] || echo complete
cd "/opt/hotspare/cache/$1" 2>/dev/null || exit 0
# half a file ends in .part and is sent again
for file in *; do
  case $file in *.part | '*') ;; *) sha256sum "$file" ;; esac
done
