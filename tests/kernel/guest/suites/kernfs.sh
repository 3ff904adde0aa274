# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC1083,SC2012,SC2016,SC2034,SC2045,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose; braces are words of mkt's trees
# The kernfs ABI from its mount to a stock Debian kernel that boots, halts and boots again; nothing is reserved at boot.
. /lib.sh
. /kernfs.sh
cat /proc/cpuinfo >/tmp/cpuinfo

ok "module loads with abi=kernfs" insmod /mkstock.ko abi=kernfs
ok "no /proc/multikernel" test ! -e /proc/multikernel
says '^nodev.multikernel$' "file system type" cat /proc/filesystems
ok "mounts" mount -t multikernel none $fs
says '^6d6b6673$' "magic" stat -f -c %t $fs
says '^644 1048576$' "device_tree: mode, constant size" stat -c '%a %s' $fs/device_tree
says '^200$' "overlays/new: mode" stat -c %a $fs/overlays/new
says 'Operation not permitted' "mkdir is refused" mkdir $fs/instances/x
says 'Operation not permitted' "rmdir is refused" rmdir $fs/overlays
says '^/resources/cpus 0x0* ?0x0*0 0x0*1 0x0*2 0x0*3$|^/resources/cpus 0x000000000 0x000000001 0x000000002 0x000000003$' "without a pool the tree tells of the host" mkt tree $fs/device_tree
says '^$' "no instances" ls $fs/instances
says '^new$' "no transactions" ls $fs/overlays

free_before=$(free_kib)
says '^ok$' "baseline" baseline 512M "2,3"
mkt tree $fs/device_tree | sed 's/^/# /'
grep -A3 Multikernel /proc/iomem | sed 's/^/# /'
says '/resources/cpus 0x000000002 0x000000003' "pool has the CPUs" mkt tree $fs/device_tree
says '/resources/cpus-available 0x000000002 0x000000003' "they are free" mkt tree $fs/device_tree
says '/resources/memory@[0-9a-f]+/reg 0x[0-9a-f]+ 0x020000000' "pool has the memory" mkt tree $fs/device_tree
says 'Multikernel Memory Pool' "/proc/iomem names it" cat /proc/iomem
says '^2$' "its CPUs vanish from /proc/cpuinfo" grep -c ^processor /proc/cpuinfo
says 'Device or resource busy' "nobody takes them online by hand" sh -c "echo 1 >$cpus/cpu2/online"
says 'EBUSY' "second baseline" baseline 128M 1

says '^ok$' "overlay: create" create one 256M 3
says '^tx_2$' "first transaction is 2" ls $fs/overlays
says '^applied$' "it is applied" cat $fs/overlays/tx_2/status
says '^/instances$' "its target" cat $fs/overlays/tx_2/instance
says '^test one$' "its resources text" cat $fs/overlays/tx_2/resources
says '^2$' "its id" cat $fs/overlays/tx_2/id
ok "its blob" sh -c "mkt tree $fs/overlays/tx_2/dtbo | grep -q 'instance-name .one'"
says '^ready$' "instance is ready" cat $fs/instances/one/status
says '^1$' "instance has the first id" cat $fs/instances/one/id
says '^/resources/memory-bytes 0x010000000$' "instance's tree" mkt tree $fs/instances/one/device_tree
says '^/model "one"$' "its name" mkt tree $fs/instances/one/device_tree
says 'mk-instance-1-one-region-0' "/proc/iomem names its memory" cat /proc/iomem

base=$(base_of one)
echo "# instance one at $base"
says '^ok$' "Debian kernel loads" mkt file 1 /vmlinuz /instance.gz "$words"
says '^loaded$' "instance is loaded" cat $fs/instances/one/status
says '^1 +multikernel +0x[0-9a-f]{12} +[0-9]+ +file +"console=ttyS1' "/proc/kimage lists it" cat /proc/kimage
says 'EBUSY' "second load" mkt file 1 /vmlinuz /instance.gz "$words"
nonce=$(mkt nonce $base)
says '^ok$' "exec" mkt exec 1
says '^active$' "instance is active" cat $fs/instances/one/status
says 'uname="[0-9]' "its own kernel beats" mkt await $base 60
says 'console=1$' "its console has its id" cat $control/instances
says 'mk-21' "shell answers at /dev/mktty" mkt tty talk 1 20 'mk-21' "printf 'mk-%d\\n' \$((3 * 7))"
ok "a fresh nonce" test "$nonce" != "$(mkt nonce $base)"
ok "heartbeat moves" moves $base
ok "host is alive" alive
says 'EBUSY' "exec while it is active" mkt exec 1
says '^ok$' "halt: the client in it answers" mkt halt 1
says '^loaded$' "instance is loaded again" cat $fs/instances/one/status
ok "it stands still" still $base
says 'EINVAL' "halt of one that is not active" mkt halt 1
says '^ok$' "exec without loading again" mkt exec 1
says 'uname="[0-9]' "it beats again" mkt await $base 60
says 'Resource temporarily unavailable|busy' "module stays while an instance is there" rmmod mkstock
says '^ok$' "force" mkt force 1
says '^ok$' "force again is the same" mkt force 1
ok "it stands still" still $base
says '^ok$' "unload" mkt fileunload 1
says '^ready$' "instance is ready again" cat $fs/instances/one/status
says '^ok$' "overlay: remove" remove one
says '^applied$' "it is applied" newest_status
says '^$' "no instances" ls $fs/instances
says '^ok$' "pool gives everything back" pool_empty 2,3
says '^4$' "CPUs are back" grep -c ^processor /proc/cpuinfo
ok "no pool in /proc/iomem" sh -c "! grep -q Multikernel /proc/iomem"
ok "memory is back" test $(free_kib) -gt $((free_before - 65536))
umount $fs
ok "module unloads" rmmod mkstock
ok "mount point is gone" test ! -e $fs
ok "host is alive" alive
plan
