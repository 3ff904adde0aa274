# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC1083,SC2012,SC2016,SC2034,SC2045,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose; braces are words of mkt's trees
# machine: release=6.1.
# machine: module=failing
# Allocations and registrations of the module fail, each once: at its start, and in the life of instances of both interfaces (failing.h).
# What was begun is taken back: nothing stays allocated, the host has all it had, and the same succeeds at the next try.
. /lib.sh
. /kernfs.sh
cat /proc/cpuinfo >/tmp/cpuinfo
mkt payload >/tmp/flat
parameters=/sys/module/mkstock/parameters

ok "memory blocks go offline" take_blocks 3
a=$(hex $pool)

echo "# --- the start of the module"
# Some may do without: then the module starts all the same, and goes.
n=1 without=0
: >/tmp/left
while [ $n -lt 300 ]; do
	if insmod /failing.ko abi=both fail_in=$n 2>/dev/null; then
		[ "$(cat $parameters/fail_in)" = 0 ] || break
		without=$((without + 1))
		rmmod mkstock
	fi
	for left in $control /proc/multikernel /proc/kimage /dev/mkstock $fs; do
		[ ! -e $left ] || echo "$left is there after number $n failed" >>/tmp/left
	done
	n=$((n + 1))
done
echo 0 >$parameters/fail_in
echo "# $((n - 1)) allocations and registrations, of which it can do without $without"
ok "more than ten of them failed, one after the other" test $((n - without)) -gt 10 -a $n -lt 300
ok "nothing was there after any of them" sh -c "! test -s /tmp/left || ! cat /tmp/left"

rmmod mkstock

# fresh: the module anew; its end says what it did not give back
fresh() {
	[ ! -d $fs ] || umount $fs
	[ ! -e $control ] || rmmod mkstock || return
	insmod /failing.ko abi=both && mount -t multikernel none $fs && write pool "add $a $(hex $pool_size)" >/dev/null
}
kept() { dmesg | sed -n 's/.*mkstock: BUG: //p' | wc -l; }

# A life by the interface of the RFC. Each step is tried, whatever became of the one before.
rfc_life() {
	local area
	area=$(hex $((pool + pool_size - 0x100000)))
	write pool "remove $a $(hex $pool_size)"
	write pool "add $a $(hex $pool_size)"
	offline 3
	mkt load $(entry_of $a) 0x10 ${a#0x}:4000:10 $(printf %x $((pool + 0x100000))):1000:10
	mkt unload
	mkt flat $a
	cat /proc/multikernel
	mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x1000000" 3
	mkt await $a 2
	cat $control/instances
	mkt tty choose '3
'
	cat $control/tty/3
	mkt maps $a 4096
	write channels "add life $area 0"
	mkt recv life 0
	cat $control/channels
	mkt record get
	rfc_end
} >/dev/null 2>&1

rfc_end() {
	mkt unload
	write kill 3
	write channels "remove life"
	write pool "remove $a $(hex $pool_size)"
	online 3
} >/dev/null 2>&1

# A life by /sys/fs/multikernel
kernfs_life() {
	baseline 64M 3
	create one 16M -
	overlay /instances/one memory-add{ memory@0{ size:u64=0x1000000 } }
	overlay /instances/one cpu-add{ cpu@0{ reg:u64=3 } }
	mkt file 1 /tmp/flat - "a b"
	mkt exec 1
	mkt force 1
	rmdir $fs/overlays/tx_$(newest)
	kernfs_end
} >/dev/null 2>&1

kernfs_end() {
	mkt force 1
	mkt fileunload 1
	remove one
	pool_empty 3
} >/dev/null 2>&1

readable() {
	baseline 64M 3
	create one 16M 3
	mkt file 1 /tmp/flat - "a b"
} >/dev/null

# All that can be read of a pool and an instance
reads_life() {
	cat $fs/device_tree $fs/instances/one/device_tree $fs/overlays/tx_$(newest)/dtbo $fs/overlays/tx_$(newest)/resources
	cat /proc/kimage /proc/multikernel $control/*
	mkt record get
} >/dev/null 2>&1

reads_end() { kernfs_end; }

failed_at() { dmesg | sed -n 's/.*mkstock: failing //p' | tail -1; }

# whole: the host has all its CPUs, and nobody else has anything
whole() {
	[ "$(cat $cpus/online)" = 0-3 ] || { echo "CPUs $(cat $cpus/online)"; return 1; }
	[ -z "$(cat $control/instances)$(ls $fs/instances)$(cut -d' ' -f1 $control/channels)$(chunks)" ] || { echo "somebody is there"; return 1; }
}

# through LIFE STEP: each STEP-th allocation of it fails, with mktest_long each; then its end takes everything back
through() {
	local n=0 left=0 step=$2 before
	! grep -q mktest_long /proc/cmdline || step=1
	: >/tmp/left
	fresh
	while [ "$left" = 0 ] && [ $n -lt 800 ]; do
		n=$((n + step))
		before=$(kept)
		[ $1 != reads ] || readable
		echo $n >$parameters/fail_in
		${1}_life
		left=$(cat $parameters/fail_in)
		echo 0 >$parameters/fail_in
		${1}_end
		whole >/tmp/whole || echo "number $n, $(failed_at): $(cat /tmp/whole)" >>/tmp/left
		fresh 2>/tmp/fresh || { echo "number $n, $(failed_at): $(cat /tmp/fresh)" >>/tmp/left; break; }
		[ $(kept) = $before ] || echo "number $n, $(failed_at): $(dmesg | sed -n 's/.*mkstock: BUG: //p' | tail -1)" >>/tmp/left
	done
	echo "# $((n - step)) or more allocations and registrations"
	number=$((number + 1))
	if [ $n -gt 12 ] && [ $n -lt 800 ] && [ ! -s /tmp/left ]; then
		echo "ok $number - $1: each of them failed, and everything came back"
	else
		bad=$((bad + 1))
		echo "not ok $number - $1: each of them failed, and everything came back"
		sed 's/^/# /' /tmp/left | head -20
	fi
}

echo "# --- the life of an instance, interface of the RFC"
through rfc 5
echo "# --- the life of an instance, /sys/fs/multikernel"
through kernfs 13

echo "# --- reading"
through reads 7

echo "# --- nothing fails any more"
fresh
offline 3
says '^ok$' "load" mkt flat $a
says '^ok$' "boot" mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x1000000" 3
says 'state=2' "it beats" mkt await $a 10
rfc_end
says '^ok$' "baseline" baseline 64M 3
says '^ok$' "create" create one 16M 3
says '^ok$' "load" mkt file 1 /tmp/flat - "a b"
says '^ok$' "exec" mkt exec 1
says 'state=2' "it beats" mkt await $(base_of one) 10
kernfs_end
ok "the host is whole" whole
umount $fs
ok "module unloads" rmmod mkstock
dmesg | sed -n 's/.*mkstock: failing \([^:]*\):.*/\1/p' | sort | uniq -c | sed 's/^/# /'
ok "host is alive" alive
plan
