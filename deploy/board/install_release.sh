#!/bin/sh
# Makes one release ready to run, apart from those that run: nothing is switched here.
#
# usage: install_release.sh ID PYTHON    (as root)
#   ID      of the release; its files lie in /opt/hotspare/cache/ID
#   PYTHON  an interpreter of this box, or `brought:SHA256` of the archive in the cache
#
# The environment is built from wheels alone, each checked against the lock's hash, without any
# network. A release without its `complete` mark is begun anew; a complete one is left alone.
set -eu
id=$1
python=$2
base=/opt/hotspare
cache=$base/cache
release=$base/releases/$id
KEEP=3
umask 022
cd / # Python looks for modules where it stands: not among the files of the user who logged in
# one at a time: what a lost laptop began may still be at work
exec 9>/run/hotspare-deploy.lock
flock -w 900 9 || { echo "another deployment is still at work on this box" >&2; exit 1; }

mark_complete() { # a mark on the card before what it stands for would outlive a power cut alone
  sync
  touch "$1/complete"
  sync "$1/complete" "$1"
}

if [ -e "$release/complete" ]; then
  printf 'same\trelease %s\n' "$id"
  exit 0
fi

case $python in
  brought:*)
    sha=${python#brought:}
    home=$base/python/$sha
    if [ ! -e "$home/complete" ]; then
      echo "$sha  $cache/$sha" | sha256sum -c --quiet - || exit 1
      rm -rf "$home"
      mkdir -p "$home"
      tar -xzf "$cache/$sha" -C "$home" --no-same-owner
      mark_complete "$home"
      printf 'changed\tpython %s\n' "$sha"
    fi
    python=$(find "$home" -path '*/bin/python3.1[1-3]' | head -n 1)
    [ -n "$python" ] || { echo "no bin/python3.11 to 3.13 in the Python archive" >&2; exit 1; }
    ;;
esac

rm -rf "$release"
mkdir -p "$release"
wheels=$cache/$id
"$python" -m venv --without-pip "$release/venv"
here=$release/venv/bin/python
# pip runs out of its own wheel: a Python without ensurepip (Debian) serves as well
pip=$(find "$wheels" -name 'pip-*.whl' | head -n 1)
install() {
  "$here" "$pip/pip" install -q --no-index --find-links "$wheels" --only-binary=:all: \
    --disable-pip-version-check --no-cache-dir "$@" </dev/null
}
install --require-hashes -r "$wheels/requirements.lock"
[ ! -s "$wheels/strategy.lock" ] || install --require-hashes -r "$wheels/strategy.lock"
install --no-deps "$(find "$wheels" -name 'hotspare-*.whl' | head -n 1)"
# the imports of a node, so that a wheel that does not load is found now and not at a takeover
"$here" -c 'import ccxt.async_support.binance, exchange.paper, node.wiring, redis, telegram'
"$release/venv/bin/nodectl" version >/dev/null
mark_complete "$release"
printf 'changed\trelease %s\n' "$id"

# the newest stay, and always what runs and what ran before
# shellcheck disable=SC2012  # names of releases are ours: letters, digits, dots, dashes
for old in $(ls -1t "$base/releases" | tail -n +$((KEEP + 1))); do
  case "$base/releases/$old" in
    "$(readlink -f $base/current)" | "$(readlink -f $base/previous)" | "$release") ;;
    *) rm -rf "${base:?}/releases/$old" "${cache:?}/$old" ;;
  esac
done
