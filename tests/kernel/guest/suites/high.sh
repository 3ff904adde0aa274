# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# Memory above 4 GiB, across the border of a GiB.
# machine: memory=6144
. /lib.sh
cat /proc/cpuinfo >/tmp/cpuinfo
size=$((0x$(cat $blocks/block_size_bytes)))

# The two blocks around a border of a GiB above 4 GiB
take_border() {
	for border in 0x140000000 0x180000000 0x1c0000000 0x200000000; do
		below=$((border / size - 1))
		above=$((border / size))
		echo offline >$blocks/memory$below/state 2>/dev/null || continue
		echo offline >$blocks/memory$above/state 2>/dev/null && return 0
		echo online >$blocks/memory$below/state
	done
	return 1
}

ok "two memory blocks around a border go offline" take_border
ok "module loads" up
a=$(hex $((border - size)))
far=$(hex $((border + size - 0x1000)))
write pool "add $a $(hex $((2 * size)))" >/dev/null
offline 2 3
says '^ok$' "payload loads" mkt flat $a $far
says '^ok$' "boot" mkt select "entry=$(entry_of $a) cpus=3 memory=$a+$(hex $((2 * size)))" 3
says 'uname="flat"' "it beats, so it could write to its memory in the next GiB" mkt await $a 5
says '^ok$' "kill" write kill 3
mkt unload >/dev/null
says '^ok$' "Debian kernel loads" linux high $a $(hex $((2 * size))) $low 3 1 -
says '^ok$' "boot" mkt select "entry=$(entry_of $a) cpus=3 memory=$a+$(hex $((2 * size))),$low+0x10000" 3
says 'uname="[0-9]' "it beats" mkt await $a 40
says '^ok$' "kill" write kill 3
ok "all CPUs are back" online 2 3
ok "module unloads" rmmod mkstock
plan
