# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# The host goes into another kernel by kexec, twice, while an instance runs on; and records of it that are not to be believed.
# With mkrounds=N on the command line, N times instead of twice.
#
# machine: append=memmap=252K$0x1000 memmap=512M$0x40000000 no_ipi_broadcast=1
. /lib.sh
stage=$(given mkstage)
rounds=$(given mkrounds)
last=$((${rounds:-2} + 1))
a=0x40000000
size=0x0c000000
area=0x5ff00000
lends="pool=$a,0x20000000"

field() { mkt mailbox $a | sed "s/.* $1=\([0-9]*\).*/\1/"; }

# leave STAGE WORDS: into the next kernel, with this one's files but the instance's image
leave() {
	(cd / && find bin init lib.sh kernfs.sh suites next.ko next-vmlinuz | cpio -o -H newc) >/tmp/next.cpio 2>/tmp/cpio
	mkt poke $(hex $((a + 0x38))) 0		# the longest time without a beat is measured anew
	mkt kexec /next-vmlinuz /tmp/next.cpio \
		"$(sed 's/ mkstage=.*//' /proc/cmdline) mkstage=$1 $2 khz=$khz beats=$(beats $a) ticks=$(field ticks)"
	echo "not ok - the host came back from its kexec"
}
module() { [ -e /next.ko ] && echo /next.ko || echo /mkstock.ko; }

# No beat of one a second was missed since this host's kernel before this one left, by the instance's own clock.
no_gap() {
	local ms=$((($(field ticks) - $(given ticks)) / $(given khz))) more=$(($(beats $a) - $(given beats))) longest=$(($(field longest) / $(given khz)))
	echo "$more beats in $ms ms of the instance's own clock, the longest without one $longest ms" | tee /tmp/gap
	[ $more -ge 3 ] && [ $longest -gt 0 ] && [ $longest -lt 2000 ]
}

# judged RECORD-FLAW SED-COMMAND WANTED DESCRIPTION: a record made of the true one, and what the module says of it
judged() {
	sed "$2" /tmp/record | mkt record put $1 >/dev/null
	ok "module loads" insmod $(module)
	says "$3" "$4" cat $control/adopted
	says '^$' "... and no instance is adopted" cat $control/instances
	ok "... and takes nothing" rmmod mkstock
}

first() {
	cat /proc/cpuinfo >/tmp/cpuinfo
	ok "module loads" up $lends
	says '^state none' "nothing was left by another kernel" cat $control/adopted
	says '^carries everything' "an empty record could be written" cat $control/record
	offline 3 2
	linux one $a $size $low 3 1 $area >/dev/null
	write channels "add one $area 0" >/dev/null
	says '^ok$' "boot" mkt select "entry=$(entry_of $a) cpus=3 memory=$a+$size,$low+0x10000" 3
	ok "it beats" mkt await $a 40
	says '^ok$' "a channel of plain memory" write channels "share plain 0x5fe00000 0x1000 0 0"
	mkt share write plain 0 'still here' >/dev/null
	says '^ok$' "a line about the layout" write layout "digest=0123abcd boot=first"
	says 'Invalid argument' "none that is longer than it may be" write layout "$(seq 100 | tr '\n' ' ')"
	says '^address 0x1000$' "record lies in the first pages" cat $control/record
	says '^instances 1$' "it counts the instance" cat $control/record
	says '^channels 2$' "and the channels" cat $control/record
	says '^carries everything' "all of it" cat $control/record
	says 'EADDRNOTAVAIL' "no image is loaded over it" mkt flat 0x2000

	echo "# --- what cannot be carried on is said beforehand"
	take_blocks 1
	b=$(hex $pool)
	write pool "add $b $(hex $pool_size)" >/dev/null
	mkt flat $b >/dev/null
	says '^ok$' "payload boots in a memory block that is offline" mkt select "entry=$(entry_of $b) cpus=2 memory=$b+0x4000" 2
	says '^carries an instance has memory that was not reserved' "its memory would not survive" cat $control/record
	write kill 2 >/dev/null
	says '^carries everything' "without it all is well again" cat $control/record
	mkt unload >/dev/null
	write pool "remove $b $(hex $pool_size)" >/dev/null
	sleep 1
	echo "# leaving: $(cat /proc/uptime) $(mkt mailbox $a)"
	leave 2 maxcpus=2
}

second() {
	echo "# here: $(cat /proc/uptime) $(mkt mailbox $a 2>/dev/null) CPUs $(cat $cpus/online) of $(cat $cpus/present)"
	ok "the next kernel brought no CPU up that is not its own" grep -qx 0-1 $cpus/online
	ok "there is a record with a good checksum" sh -c "mkt record get >/tmp/record"
	sed 's/^/# /' /tmp/record

	echo "# --- records that are not to be believed"
	judged magic '' '^reason no record was found' "another magic"
	judged version '' '^reason the record is of another version' "another version"
	judged size '' "^reason the record's length is wrong" "a length beyond its room"
	judged crc '' '^reason .*checksum is wrong' "one bit that is wrong"
	judged tsc '' '^reason the machine was reset' "a clock ahead of the machine's"
	says '^$' "an empty record leaves an empty list" sh -c "printf '' | mkt record put none >/dev/null; insmod $(module); cat $control/instances; rmmod mkstock"
	judged none "s/^pool .*/pool 0x1000000 0x200000/" '^pool 0x1000000 0x200000 refused: this host uses that memory' "memory of the host as pool"
	judged none "/^instance/s/$a+/0x1000000+/" '^instance .* refused: this host uses its memory' "memory of the host as an instance's"
	judged none "/^instance/s/ 3 / 1 /" 'refused: one of its CPUs is online' "a CPU that is online"
	judged none "/^instance/s/ 3 / 0 /" "refused: it claims the host's boot CPU" "the boot CPU"
	judged none "/^instance/s/ 3 / 77 /" 'refused: this host does not have all of its CPUs' "a CPU that is not there"
	judged none "/^instance/s/ 3 / 3x /" 'refused: this host does not have' "a CPU that is no number"
	judged none "/^instance/s/0x[0-9a-f]*\$/0x1234/" 'refused: its mailbox does not carry the mark' "another boot's nonce"
	judged none "/^instance/s/instance 0x[0-9a-f]*/instance 0x48003000/" 'instance 0x48003000 refused: its mailbox' "an entry elsewhere"
	judged none "/^instance/s/instance 0x[0-9a-f]*/instance zero/" 'instance zero refused: error 22' "an entry that is no number"
	judged none "/^instance/s/ 3 .*/ 3/" 'refused: error 22' "a line that ends too soon"
	judged none "/^instance/s/$a+0x[0-9a-f]*/$a/" 'refused: its memory cannot be read' "memory without a size"
	judged none "/^pool/d" 'instance .* refused: its memory is not in the pool' "no pool"
	judged none "/^instance/d; s/^channel add one $area/channel add one 0x5fe00000/" 'channel add one refused: there is no channel' "a channel where there is none"
	judged none "/^instance/d; s/^layout/lyout/" '^a line of an unknown kind refused' "a line that nobody knows"
	adopt_truly
}

adopt_truly() {
	mkt record put none </tmp/record >/dev/null
	ok "module loads, told of no pool" insmod $(module)
	says '^state adopted$' "the true record is adopted" cat $control/adopted
	says '^refused 0$' "all of it" cat $control/adopted
	sed 's/^/# /' $control/adopted
	after
	khz=$(sed -n 's/^tsc_khz //p' $control/info)
	says '^carries everything' "and could be carried on once more" cat $control/record
	leave 3 maxcpus=3
}

after() {
	says "^$a 0x20000000" "pool" cat $control/pool
	says "cpus=3 apic=3 memory=$a.0xc000000,0x10000.0x10000 state=running text=\"\" console=3" "instance" cat $control/instances
	says '^digest=0123abcd boot=first$' "layout" cat $control/layout
	ok "channel" until_ok 5 grep -q '^one .*peer=up' $control/channels
	says '^echo hello$' "message there and back" sh -c "mkt send one hello && mkt recv one 5"
	says 'still here' "and memory that both have" mkt share read plain 0
	says 'seen-EPIPE' "the instance was told that its host was gone" \
		mkt tty talk 3 20 'seen-EPIPE' "dmesg | sed -n 's/.*recv E/seen-E/p'"
	says 'mk-21' "its console answers" mkt tty talk 3 20 'mk-21' "printf 'mk-%d\\n' \$((3 * 7))"
	says 'Device or resource busy' "host cannot online its CPU" sh -c "echo 1 >$cpus/cpu3/online"
	says 'EBUSY' "nothing is loaded over it" mkt flat $a
	ok "module does not unload" sh -c "! rmmod mkstock"
	ok "no heartbeat was missed" no_gap
	sed 's/^/# /' /tmp/gap
}

# One of many: adopted, and no beat was missed.
again() {
	ok "module loads" insmod $(module)
	says '^state adopted$' "kexec $((stage - 1)): adopted" cat $control/adopted
	says '^refused 0$' "... all of it" cat $control/adopted
	ok "... no heartbeat was missed" no_gap
	sed 's/^/# /' /tmp/gap
	khz=$(sed -n 's/^tsc_khz //p' $control/info)
	leave $((stage + 1)) maxcpus=3
}

third() {
	echo "# here: $(cat /proc/uptime), CPUs $(cat $cpus/online)"
	ok "module loads" insmod $(module)
	says '^state adopted$' "kexec $((stage - 1)): adopted again" cat $control/adopted
	after
	ok "a CPU that is nobody's comes online" sh -c "[ -e $cpus/cpu2/online ] && { grep -qx 1 $cpus/cpu2/online || echo 1 >$cpus/cpu2/online; }"
	says '^ok$' "kill" write kill 3
	ok "heartbeat stands still" still $a
	ok "its CPU comes online in the new host" online 3
	ok "and works there" taskset 8 true
	says '^ok$' "channel is removed" write channels "remove one"
	write channels "remove plain" >/dev/null
	ok "module unloads" rmmod mkstock
	ok "no record is left" sh -c "! mkt record get"
	ok "module loads again" insmod $(module) $lends
	says '^state none' "and adopts nothing" cat $control/adopted
	ok "host is alive" alive
	plan
}

case $stage in
'') first ;;
2) second ;;
"$last") third ;;
*) again ;;
esac
