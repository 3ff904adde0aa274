# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# A channel to an instance on CPU 3 beside a pipe and a UNIX socket to CPU 1, in turns; the near end is on CPU 0 each time.
. /lib.sh
cat /proc/cpuinfo >/tmp/cpuinfo
word_of() { sed -n "s/.*mkbench.$1=\([0-9]*\).*/\1/p" /proc/cmdline; }
rounds=$(word_of rounds) count=$(word_of count) size=$(word_of size)

ok "memory blocks go offline" take_blocks 3
ok "module loads" up
a=$(hex $pool)
area=$(hex $((pool + pool_size - 0x100000)))
data=$(hex $((pool + pool_size - 0x200000)))
write pool "add $a $(hex $pool_size)" >/dev/null
offline 3
says '^ok$' "channel" write channels "create data $data 0 64 256 $(apic_of 0) $(apic_of 3)"
extra="multikernel.channel=data@$data:1"
linux one $a 0x0c000000 $low 3 1 $area >/dev/null
write channels "add one $area 0" >/dev/null
mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x0c000000,$low+0x10000" 3 >/dev/null
ok "the instance beats" mkt await $a 60
mkt send one 'run pingpong serve data 0' >/dev/null
sleep 1
round=0
while [ $round -lt $rounds ]; do
	for way in "channel data 0" "pipe 0 1" "socket 0 1"; do
		echo "# bench ${way%% *} $(pingpong $way $count $size)"
	done
	round=$((round + 1))
done
echo "# $(grep '^data' $control/channels)"
plan
