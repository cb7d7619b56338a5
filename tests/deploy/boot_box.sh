#!/bin/sh
# Boots one box: systemd as PID 1 on a root file system of its own, in a given network namespace.
# usage: boot_box.sh NAME ROOTFS WORK NETNS GROUP   (run by boxes.py inside `unshare --mount`)
set -eu
name=$1 rootfs=$2 work=$3 netns=$4 group=$5

# systemd-nspawn looks for a manager of this machine under /run; it must find none
mount -t tmpfs tmpfs /mnt
touch /mnt/netns
mount --bind "$netns" /mnt/netns
mount -t tmpfs tmpfs /run
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup

# a group of its own: two systemd in one group remove each other's
mkdir -p "/sys/fs/cgroup/$group"
echo $$ >"/sys/fs/cgroup/$group/cgroup.procs"

mkdir -p "$work/up" "$work/scratch" "$work/root"
mount -t overlay overlay -o "lowerdir=$rootfs,upperdir=$work/up,workdir=$work/scratch" "$work/root"

SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec systemd-nspawn -q -D "$work/root" -M "$name" -b \
  --network-namespace-path=/mnt/netns --register=no --keep-unit --console=pipe
