# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC1083,SC2012,SC2016,SC2034,SC2045,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose; braces are words of mkt's trees
# A network card behind a root port goes to the pool, to an instance, which answers ping, and back to the host's driver.
# machine: devices=-netdev hubport,id=a,hubid=1 -device e1000e,netdev=a,mac=52:54:00:00:09:01,romfile= -device pcie-root-port,id=port1,bus=pcie.0,chassis=1,slot=1 -netdev hubport,id=b,hubid=1 -device e1000e,netdev=b,bus=port1,mac=52:54:00:00:09:02,romfile=
. /lib.sh
. /kernfs.sh
cat /proc/cpuinfo >/tmp/cpuinfo
card=0000:01:00.0
folder=/sys/bus/pci/devices/$card

driver() { basename "$(readlink $folder/driver)" 2>/dev/null; }
item() { echo "pci@0{ pci-id:str=$1 }"; }
answers() { ping -c 4 -W 5 10.9.0.2; }
words="$words mktest.address=10.9.0.2/24"

insmod /e1000e.ko
for interface in /sys/class/net/eth*; do
	if grep -q 52:54:00:00:09:01 $interface/address; then own=${interface##*/}; fi
done
ip link set $own up
ip addr add 10.9.0.1/24 dev $own
says '^e1000e$' "the host drives the card" driver

ok "module loads with abi=kernfs" insmod /mkstock.ko abi=kernfs
mount -t multikernel none $fs
says '^ok$' "baseline" baseline 512M "2,3"
overlay /resources device-add{ $(item 0000:00:1f.0) } >/dev/null
says '^failed$' "a bridge cannot join the pool" newest_status
overlay /resources device-add{ $(item 0000:07:00.0) } >/dev/null
says '^failed$' "nor what is not there" newest_status
says '^ok$' "the card joins the pool" overlay /resources device-add{ $(item $card) }
says '^applied$' "it is applied" newest_status
says '^multikernel$' "the host's driver let go of it" driver
ok "and cannot take it again" sh -c "! echo $card >/sys/bus/pci/drivers/e1000e/bind 2>/dev/null"
says 'vendor-id 0x0*8086$' "the tree tells of it" mkt tree $fs/device_tree

create one 256M 3 >/dev/null
says '^ok$' "the instance gets it" overlay /instances/one device-add{ $(item $card) }
says '^applied$' "it is applied" newest_status
says 'vendor-id 0x0*8086$' "the instance's tree tells of it" mkt tree $fs/instances/one/device_tree
ok "the pool has it no more" sh -c "! mkt tree $fs/device_tree | grep -q vendor-id"
base=$(base_of one)
says '^ok$' "Debian kernel loads" mkt file 1 /vmlinuz /instance.gz "$words"
says '^ok$' "exec" mkt exec 1
says 'uname="[0-9]' "its own kernel beats" mkt await $base 60
until_ok 20 sh -c "ping -c 1 -W 1 10.9.0.2 >/dev/null"
says '4 packets received' "it answers ping" answers
says '52:54:00:00:09:02' "from the card that it was given" ip neigh
ok "host is alive" alive
says '^ok$' "force" mkt force 1
says ' 0 packets received' "no answer any more" answers
says '^0[0-9a-f][0-9a-f][0-38-b]$' "the card is no bus master" sh -c "dd if=$folder/config bs=2 skip=2 count=1 2>/dev/null | od -An -tx2 | tr -d ' '"
says '^ok$' "exec again" mkt exec 1
says 'uname="[0-9]' "its own kernel beats again" mkt await $base 60
until_ok 20 sh -c "ping -c 1 -W 1 10.9.0.2 >/dev/null"
says '4 packets received' "it answers ping again" answers
mkt force 1 >/dev/null
mkt fileunload 1 >/dev/null
says '^ok$' "the card goes back to the pool" overlay /instances/one device-remove{ $(item $card) }
remove one >/dev/null
says '^ok$' "and to the host" overlay /resources device-remove{ $(item $card) }
says '^e1000e$' "whose driver has it again" driver
pool_empty 2,3 >/dev/null
umount $fs
ok "module unloads" rmmod mkstock
plan
