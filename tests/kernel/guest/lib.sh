# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# Sourced by the suites, inside the host kernel's guest.
control=/sys/kernel/mkstock
cpus=/sys/devices/system/cpu
blocks=/sys/devices/system/memory
number=0
bad=0

# given KEY: the number of KEY=NUMBER on this machine's command line, nothing when it is not there
given() { sed -n "s/.* $1=\([0-9]*\).*/\1/p" /proc/cmdline; }

# ok DESCRIPTION COMMAND...: the command must succeed
ok() {
	local description=$1
	shift
	number=$((number + 1))
	if "$@" >/tmp/output 2>&1; then
		echo "ok $number - $description"
	else
		bad=$((bad + 1))
		echo "not ok $number - $description"
		sed 's/^/# /' /tmp/output | head -5
	fi
}

# says WANTED DESCRIPTION COMMAND...: the command's output must match, whatever its exit status
says() {
	local wanted=$1 description=$2 output
	shift 2
	number=$((number + 1))
	output=$("$@" 2>&1)
	if printf '%s\n' "$output" | grep -qE -- "$wanted"; then
		echo "ok $number - $description"
	else
		bad=$((bad + 1))
		echo "not ok $number - $description"
		echo "# wanted: $wanted"
		printf '%s\n' "$output" | head -5 | sed 's/^/# got: /'
	fi
}

plan() {
	dmesg | grep -E 'WARNING:|BUG:|Oops|stall|lockup|mkstock.*(cannot|lacks)' | head -5 | sed 's/^/# dmesg: /'
	says '^0$' "no warning in the host's log" sh -c "dmesg | grep -cE 'WARNING:|BUG:|Oops|rcu.*stall|lockup'"
	echo "1..$number"
	[ $bad = 0 ] && echo "# passed"
}

# write FILE TEXT: prints ok or the error as the shell words it
write() { { echo "$2" >"$control/$1"; } 2>&1 && echo ok; }

offline() {
	local cpu
	for cpu in "$@"; do echo 0 >$cpus/cpu$cpu/online; done
}
online() {
	local cpu
	for cpu in "$@"; do echo 1 >$cpus/cpu$cpu/online || return 1; done
}

# Takes memory blocks offline, from the one at 512 MiB on, until there are $1 in a row; sets first (block), pool, pool_size.
# Up to four are not to be had: the kernel itself, wherever its KASLR put it, and what it allocated at the top of memory.
take_blocks() {
	local wanted=$1 size n=0 block
	size=$((0x$(cat $blocks/block_size_bytes)))
	block=$((0x20000000 / size))
	first=$block
	while [ $n -lt "$wanted" ]; do
		if [ ! -e $blocks/memory$block ]; then
			echo "# no $wanted blocks in a row between 512 MiB and the end of memory; the host's kernel:"
			grep Kernel /proc/iomem | sed 's/^ */# /'
			return 1
		fi
		# a page may be in use just now: the second try finds it free
		if echo offline >$blocks/memory$block/state 2>/dev/null || echo offline >$blocks/memory$block/state 2>/dev/null; then
			n=$((n + 1))
		else
			# what was taken before it is no part of the row: it goes back
			while [ $n -gt 0 ]; do
				echo online >$blocks/memory$((block - n))/state || return 1
				n=$((n - 1))
			done
			first=$((block + 1))
		fi
		block=$((block + 1))
	done
	pool=$((first * size))
	pool_size=$((wanted * size))
}

hex() { printf '0x%x' "$1"; }

up() {
	insmod ${module:-/mkstock.ko} "$@" || return 1
	khz=$(sed -n 's/^tsc_khz //p' $control/info)
	low=$(cut -d' ' -f1 $control/low | head -1)
	low2=$(cut -d' ' -f1 $control/low | sed -n 2p)
}

apic_of() { awk -F: -v cpu=$1 '/^processor/ { p = $2 + 0 } /^apicid/ { if (p == cpu) print $2 + 0 }' /tmp/cpuinfo; }

# linux NAME BASE SIZE LOW CPUS(comma) TTY(1|2) CHANNEL-ADDRESS|-: loads a Debian kernel
linux() {
	local name=$1 base=$2 size=$3 chunk=$4 list=$5 tty=$6 area=$7 ids= n=0 c port others channel= word=
	for c in $(echo $list | tr , ' '); do
		ids=$ids${ids:+,}$(apic_of $c)
		n=$((n + 1))
	done
	case $tty in
	1) port=0x2f8 others=0x3f8,8,0x3e8,8,0x2e8,8 ;;
	2) port=0x3e8 others=0x3f8,8,0x2f8,8,0x2e8,8 ;;
	esac
	if [ "$area" != - ]; then
		channel=$area:16:64:0:${ids%%,*}
		word="multikernel.channel=$name@$area:1"
	fi
	mkt linux $base $size $chunk ${kernel:-/vmlinux} /instance.gz $ids 0 \
		"console=ttyS$tty,115200 earlycon=uart8250,io,$port,115200 no_ipi_broadcast=1 nokaslr tsc=reliable \
tsc_early_khz=$khz pci=off panic=0 nmi_watchdog=0 rdinit=/init nr_cpus=$n reserve=$others quiet \
multikernel.name=$name multikernel.mailbox=$base $word $extra" $channel
}

entry_of() { hex $(($1 + 0x3000)); }

beats() { mkt mailbox $1 | sed 's/beats=\([0-9]*\).*/\1/'; }
moves() {
	local before
	before=$(beats $1)
	sleep 2
	[ "$(beats $1)" -gt "$before" ]
}
still() { ! moves $1; }

# The host's CPUs, and the timer interrupts that one of them has had
here() { awk 'NR == 1 { gsub("CPU", ""); print }' /proc/interrupts; }
ticks() { awk -v cpu="CPU$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == cpu) at = i + 1 } /LOC:/ { print $at }' /proc/interrupts; }

# The host truly schedules and ticks, on each of its CPUs: an idle one takes few ticks or none, but the one that ends a sleep there.
alive() {
	local cpu before=
	for cpu in $(here); do
		before=$(ticks $cpu)
		taskset $(hex $((1 << cpu))) usleep 200000 || return 1
		[ "$(ticks $cpu)" -gt "$before" ] || {
			echo "no timer interrupt on CPU $cpu, which had $before"
			return 1
		}
	done
	[ -n "$before" ]	# there was a CPU to look at
}

# until SECONDS COMMAND...: tries until it succeeds
until_ok() {
	local tries=$(($1 * 5 * 4))	# five a second, and the machine may be four times slower than expected
	shift
	while ! "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		usleep 200000
	done
}

instance_says() { grep -q "$1" $control/instances; }
