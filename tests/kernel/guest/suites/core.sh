# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# One instance from its load to its end, and the host beside it; no memory was reserved at boot.
. /lib.sh
cat /proc/cpuinfo >/tmp/cpuinfo

ok "memory blocks go offline at run time" take_blocks 4
ok "module loads without any boot parameter" up
says '^host$' "role" cat $control/role
says '^ok$' "blocks join the pool" write pool "add $(hex $pool) $(hex $pool_size)"
says "^$(hex $pool) $(hex $pool_size)$" "pool lists them" cat $control/pool
says '^0x[0-9a-f]+ 0x10000$' "low memory is offered in chunks" cat $control/low

offline 3
a=$(hex $pool)
area=$(hex $((pool + pool_size - 0x100000)))
linux one $a 0x0c000000 $low 3 1 $area >/tmp/load &
ok "another load at the same time: EBUSY" sh -c "i=0; while [ \$i -lt 500 ]; do mkt unload | grep -q EBUSY && exit 0; i=\$((i + 1)); done; exit 1"
wait
says '^ok$' "Debian kernel loads" linux one $a 0x0c000000 $low 3 1 $area
says '^multikernel +0x0+[0-9a-f]+ +[0-9]+$' "table lists it" cat /proc/multikernel
says '^ok$' "channel is added" write channels "add one $area 0"
says '^ok$' "boot" mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x0c000000,$low+0x10000" 3
ok "unload leaves it running" mkt unload
says "uname=\"[0-9]" "its own kernel beats" mkt await $a 40
echo "# $(mkt mailbox $a)"
ok "heartbeat moves" moves $a
ok "host is alive" alive
says "cpus=3 apic=3 memory=$a.0xc000000,$low.0x10000 state=running" "instances shows it" cat $control/instances
says 'beats=[1-9].*peer=up' "heartbeats come through the channel" cat $control/channels
says '^echo hello$' "message there and back" sh -c "mkt send one hello && mkt recv one 5"
says 'Device or resource busy' "host cannot online its CPU" sh -c "echo 1 >$cpus/cpu3/online"
says 'EBUSY' "no second boot of its CPU" sh -c "mkt flat $area >/dev/null; mkt boot 3"
says '^ok$' "kill" write kill 3
ok "heartbeat stands still" still $a
ok "CPU goes back to the host" online 3
ok "module unloads" rmmod mkstock
ok "/proc/multikernel is gone" test ! -e /proc/multikernel
ok "memory goes back to the host" sh -c "for b in 0 1 2 3; do echo online >$blocks/memory\$(($first + \$b))/state || exit 1; done"
ok "host is alive" alive
plan
