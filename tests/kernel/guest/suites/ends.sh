# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# Two kernels beside the host, one of two CPUs; and every way in which an instance may end.
. /lib.sh
cat /proc/cpuinfo >/tmp/cpuinfo

ok "memory blocks go offline" take_blocks 4
ok "module loads" up
a=$(hex $pool)
b=$(hex $((pool + 0x10000000)))
area=$(hex $((pool + pool_size - 0x100000)))
area2=$(hex $((pool + pool_size - 0x200000)))
write pool "add $a $(hex $pool_size)" >/dev/null
offline 1 2 3

start_one() {
	mkt unload >/dev/null
	linux one $a 0x0c000000 $low 3 1 $area >/dev/null || return 1
	write channels "remove one" >/dev/null
	write channels "add one $area 0" >/dev/null || return 1
	mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x0c000000,$low+0x10000" 3 >/dev/null || return 1
	mkt await $a 40 >/dev/null && until_ok 10 grep -q 'beats=[1-9].*peer=up' $control/channels
}

echo "# --- two kernels, three CPUs"
kernel=/vmlinuz
says '^ok$' "bzImage for two CPUs" linux two $b 0x0c000000 $low2 1,2 2 $area2
kernel=/vmlinux
says '^ok$' "channel two" write channels "add two $area2 0"
says '^ok$' "boot on CPU 1, it brings up 2 itself" \
	mkt select "entry=$(entry_of $b) cpus=1,2 memory=$b+0x0c000000,$low2+0x10000" 1
ok "one starts meanwhile" start_one
says 'state=2 nproc=2' "two beats and has two CPUs" mkt await $b 60
ok "one beats" moves $a
ok "two beats" moves $b
ok "host is alive" alive
says 'Device or resource busy' "CPU that the instance brought up is kept" sh -c "echo 1 >$cpus/cpu2/online"
says '^echo hi$' "message to two" sh -c "mkt send two hi && mkt recv two 5"

for end in panic halt reboot poweroff sysrq-b; do
	echo "# --- $end"
	case $end in
	panic) state=3 text='panic: sysrq triggered crash' ;;
	halt) state=4 text='halted' ;;
	reboot) state=5 text='restart requested' ;;
	poweroff) state=6 text='powered off' ;;
	sysrq-b) state=5 text='restart requested' ;;
	esac
	[ $end = panic ] || ok "one starts again" start_one
	mkt send one $end >/dev/null
	ok "instances says so" until_ok 10 instance_says "cpus=3 .*state=ended text=\"$text"
	says "state=$state .*text=\"$text" "mailbox says so" mkt mailbox $a
	says 'peer=gone' "channel says so" grep '^one' $control/channels
	ok "it stands still" still $a
	ok "two is not disturbed" moves $b
	ok "host is alive" alive
	says '^ok$' "kill" write kill 3
done

echo "# --- an instance of two CPUs restarts"
mkt send two reboot >/dev/null
ok "instances says so" until_ok 10 instance_says 'cpus=1,2 .*state=ended text="restart requested"'
ok "host is alive" alive
says '^ok$' "kill takes both CPUs" write kill 2
says '^$' "no instance is left" cat $control/instances
ok "all CPUs are back" online 1 2 3
ok "tasks of the host run there" sh -c "for c in 1 2 3; do taskset \$((1 << c)) true || exit 1; done"
ok "module unloads" rmmod mkstock
ok "host is alive" alive
plan
