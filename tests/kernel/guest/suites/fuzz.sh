# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2012,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# machine: append=slub_debug=FZPU page_poison=1 init_on_free=1
# Senseless and hostile calls, several processes at a time, as root and as nobody, while an instance runs. With mkseconds=N on the command
# line, for so many seconds each.
. /lib.sh
cat /proc/cpuinfo >/tmp/cpuinfo
seconds=15 loads=40
grep -q mktest_long /proc/cmdline && seconds=1200 loads=1000
long=$(given mkseconds)
seconds=${long:-$seconds}

ok "memory blocks go offline" take_blocks 3
ok "module loads" up
a=$(hex $pool)
write pool "add $a $(hex $pool_size)" >/dev/null
offline 3
area=$(hex $((pool + pool_size - 0x100000)))
ok "Debian kernel loads" linux beat $a 0x0c000000 $low 3 1 $area
says '^ok$' "channel" write channels "add beat $area 0"
says '^ok$' "boot" mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x0c000000,$low+0x10000" 3
ok "it beats" mkt await $a 60
nonce=$(mkt nonce $a)
mkt unload >/dev/null

# hammer USER: four processes; prints "USER calls succeeded changed" of all together
hammer() {
	local seed jobs= words=mkt
	[ $1 = root ] || words="mkt unprivileged"
	rm -f /tmp/fuzz.*
	for seed in 1 2 3 4; do
		$words fuzz $seed $seconds $a $(hex $pool_size) 3 >/tmp/fuzz.$seed 2>&1 &
		jobs="$jobs $!"
	done
	wait $jobs
	cat /tmp/fuzz.* | tr '=' ' ' | awk -v user=$1 '{ calls += $2; good += $4; changed += $6 } END { print user, calls, good, changed }'
}

echo "# --- as nobody"
hammer nobody >/tmp/nobody
echo "# $(cat /tmp/nobody)"
ok "all four came to their end" sh -c "[ \$(grep -c ^calls= /tmp/fuzz.1 /tmp/fuzz.2 /tmp/fuzz.3 /tmp/fuzz.4 | grep -c :1) = 4 ]"
ok "more than 100,000 calls" sh -c "[ \$(cut -d' ' -f2 /tmp/nobody) -gt 100000 ]"
says ' 0$' "none of them changed anything" cat /tmp/nobody
ok "host is alive" alive
ok "the instance beats" moves $a

echo "# --- as root"
hammer root >/tmp/root
echo "# $(cat /tmp/root)"
ok "all four came to their end" sh -c "[ \$(grep -c ^calls= /tmp/fuzz.1 /tmp/fuzz.2 /tmp/fuzz.3 /tmp/fuzz.4 | grep -c :1) = 4 ]"
ok "more than 100,000 calls" sh -c "[ \$(cut -d' ' -f2 /tmp/root) -gt 100000 ]"
ok "host is alive" alive
ok "the instance beats" moves $a
ok "and is the one that was booted" [ "$(mkt nonce $a)" = $nonce ]
says '^0-2$' "the host has its CPUs" cat $cpus/online

echo "# --- all of it goes away"
mkt unload >/dev/null
mkt unload 0 >/dev/null
cut -d' ' -f1 $control/channels >/tmp/names
while read -r name; do write channels "remove $name" >/dev/null; done </tmp/names
says '^ok$' "the instance is stopped" write kill 3
cat $control/pool >/tmp/pools
while read -r start size; do write pool "remove $start $size" >/dev/null; done </tmp/pools
ok "the pool is empty" sh -c "! grep . $control/pool"
ok "module unloads" rmmod mkstock
ok "CPU comes online" online 3

echo "# --- over and over"
slab() { awk '/^SUnreclaim/ { print $2 }' /proc/meminfo; }
i=0
cycles() {
	while [ $i -lt $1 ]; do
		insmod /mkstock.ko || return
		rmmod mkstock || return
		i=$((i + 1))
	done
}
cycles 20
before=$(slab)
cycles $((20 + loads))
ok "loaded and unloaded $loads times more" [ $i = $((20 + loads)) ]
after=$(slab)
echo "# slab that cannot be reclaimed: $before kB before, $after kB after"
ok "less than 1 MiB of it stayed" [ $((after - before)) -lt 1024 ]
ok "host is alive" alive
plan
