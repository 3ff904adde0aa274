# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# A host that gave memory away when it booted, and one CPU that it never had.
#
# machine: append=memmap=192K$0x10000 memmap=64M$0x50000000 maxcpus=3
. /lib.sh
cat /proc/cpuinfo >/tmp/cpuinfo

ok "module loads with a reserved pool" up pool=0x50000000,0x4000000
says '^0x50000000 0x4000000$' "pool lists it" cat $control/pool
says '^0x10000 0x10000$' "reserved low memory is offered" cat $control/low
says 'Device or resource busy' "RAM beside the reservation is the host's" write pool "add 0x54000000 0x1000"
says 'Device or resource busy' "so is what the firmware reserved, PCI's configuration space" \
	write pool "add $(sed -n 's/^\([0-9a-f]*\)-.*PCI \(MMCONFIG\|ECAM\).*/0x\1/p' /proc/iomem | head -1) 0x1000"
says '^ok$' "payload loads" mkt flat 0x50000000
says '^EADDRNOTAVAIL$' "not behind the reservation" mkt flat 0x54000000
says '^ok$' "boot on the CPU that was never online" mkt boot 3
says 'uname="flat"' "it beats" mkt await 0x50000000 5
says 'Device or resource busy' "CPU is kept" sh -c "echo 1 >$cpus/cpu3/online"
ok "host is alive" alive
says '^ok$' "kill" write kill 3
ok "the CPU goes online in the host" online 3
ok "task of the host runs there" taskset 8 true
mkt unload >/dev/null

says '^ok$' "before lockdown a load is good" mkt flat 0x50000000
says '^ok$' "and so is a mapping" mkt maps 0x50000000 0x1000
mkt unload >/dev/null
mount -t securityfs securityfs /sys/kernel/security
ok "the kernel locks down" sh -c "echo integrity >/sys/kernel/security/lockdown"
says '^EPERM$' "lockdown: no load" mkt flat 0x50000000
says '^EPERM$' "lockdown: no mapping" mkt maps 0x50000000 0x1000
says '^ok$' "pool remove" write pool "remove 0x50000000 0x4000000"
ok "module unloads" rmmod mkstock
plan
