#!/bin/sh
# Says how the node of this box is: its unit, and what `nodectl status` sees from here.
# usage: node_state.sh     (as root)
set -u
echo "active=$(systemctl is-active hotspare-node.service 2>/dev/null)"
echo "restarts=$(systemctl show -p NRestarts hotspare-node.service 2>/dev/null | sed 's/.*=//')"
echo "fingerprint=$(cat /run/hotspare-deploy/hotspare-node.service 2>/dev/null)"
echo "release=$(readlink /opt/hotspare/current 2>/dev/null | sed 's|.*/||')"
echo "settings=$(readlink /etc/hotspare/current 2>/dev/null | sed 's|.*/||')"
echo "previous_release=$(readlink /opt/hotspare/previous 2>/dev/null | sed 's|.*/||')"
echo "previous_settings=$(readlink /etc/hotspare/previous 2>/dev/null | sed 's|.*/||')"
[ -x /usr/local/bin/nodectl ] || exit 0
echo "status=$(timeout 20 /usr/local/bin/nodectl status --json 2>/dev/null | tr -d '\n')"
