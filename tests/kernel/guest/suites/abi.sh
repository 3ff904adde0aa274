# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# Every error the interface promises, the table, the pool and the selection. Instances are tiny payloads.
. /lib.sh
cat /proc/cpuinfo >/tmp/cpuinfo
header=$(printf 'Type        Start Address   Segments\n----------  --------------  --------\n')

ok "memory blocks go offline" take_blocks 3
ok "module loads" up
says '^ok$' "pool add" write pool "add $(hex $pool) $(hex $pool_size)"
a=$(hex $pool)
b=$(hex $((pool + 0x1000000)))
c=$(hex $((pool + 0x2000000)))
ea=$(entry_of $a) eb=$(entry_of $b) ec=$(entry_of $c)

echo "# --- table"
ok "two header lines and 'No kimages loaded'" \
	sh -c "[ \"\$(cat /proc/multikernel)\" = \"$header
No kimages loaded\" ] && [ \$(wc -c </proc/multikernel) = 92 ]"
says 'Input/output error|Permission denied' "table cannot be written" sh -c "echo >/proc/multikernel"
says '^ok$' "load a" mkt flat $a
says '^ok$' "load b" mkt flat $b
says '^ok$' "load a again" mkt flat $a
row() { printf 'multikernel  0x%012x  %8d\n' $1 1; }
ok "rows in load order, duplicates stay" \
	sh -c "[ \"\$(cat /proc/multikernel)\" = \"$header
$(row $ea)
$(row $eb)
$(row $ea)\" ]"
says '^ok$' "plain kexec_load still works" mkt load 0x2000000 0 2000000:1000:10
says '^default +0x000002000000 +1$' "and is listed as default" cat /proc/multikernel
says '^ok$' "plain unload" mkt unload 0
ok "only multikernel images are left" sh -c "[ \$(grep -c ^multikernel /proc/multikernel) = 3 ] && ! grep -q default /proc/multikernel"
says '^ok$' "unload removes all" mkt unload
says '^No kimages loaded$' "table is empty" cat /proc/multikernel
says '^ok$' "unload of nothing is no error" mkt unload

echo "# --- kexec_load"
at=${a#0x}
says '^EPERM$' "load without privilege" mkt unprivileged load $ea 0x10 $at:1000:10
says '^EADDRNOTAVAIL$' "address not page aligned" mkt load $ea 0x10 ${at%000}800:1000:10
says '^EADDRNOTAVAIL$' "size not page aligned" mkt load $ea 0x10 $at:1800:10
says '^EADDRNOTAVAIL$' "address wraps" mkt load $ea 0x10 fffffffffffff000:2000:10
says '^EADDRNOTAVAIL$' "beyond physical memory" mkt load $ea 0x10 f00000000000:1000:10
says '^EADDRNOTAVAIL$' "memory of the host" mkt load $ea 0x10 1000000:1000:10
says '^EADDRNOTAVAIL$' "local APIC's page" mkt load $ea 0x10 fee00000:1000:10
says '^EADDRNOTAVAIL$' "behind the pool" mkt load $ea 0x10 $(printf %x $((pool + pool_size))):1000:10
says '^EADDRNOTAVAIL$' "half in the pool" mkt load $ea 0x10 $(printf %x $((pool + pool_size - 0x1000))):2000:10
says '^EADDRNOTAVAIL$' "page 0" mkt load $ea 0x10 0:1000:10
says '^EADDRNOTAVAIL$' "trampoline's page" \
	mkt load $ea 0x10 $(sed -n 's/^trampoline 0x//p' $control/info):1000:10
says '^EINVAL$' "buffer larger than memory" mkt load $ea 0x10 $at:1000:1001
says '^EINVAL$' "segments overlap" mkt load $ea 0x10 $at:2000:10 $(printf %x $((pool + 0x1000))):1000:10
says '^EINVAL$' "more than 16 segments" mkt manyseg
says '^EINVAL$' "more than half of the memory" mkt load $ea 0x10 $at:60000000:0
says '^EINVAL$' "unknown flag" mkt load $ea 0x110 $at:1000:10
says '^EINVAL$' "crash flag with it" mkt load $ea 0x11 $at:1000:10
says '^EINVAL$' "wrong architecture" mkt load $ea 0x280010 $at:1000:10
says '^EFAULT$' "bad segment array" mkt badptr
says '^No kimages loaded$' "none of these left an image" cat /proc/multikernel
says '^ok$' "own architecture may be named" mkt load $ea 0x3e0010 $at:1000:10
says '^ok$' "preserve-context flag is let through" mkt load $ea 0x12 $at:1000:10
says '^ok$' "empty segment" mkt load $ea 0x10 $at:0:0 $at:1000:10
says '^ok$' "free low memory" mkt load $ea 0x10 ${low#0x}:1000:10
mkt unload

echo "# --- reboot"
says '^EPERM$' "boot without privilege" mkt unprivileged boot 3
says '^EBUSY$' "CPU is online" mkt boot 3
offline 1 2 3
says '^EINVAL$' "nothing is loaded" mkt boot 3
says '^ok$' "load" mkt flat $a
says '^EINVAL$' "CPU number negative" mkt boot -1
says '^EINVAL$' "CPU number huge" mkt boot 100000
says '^EINVAL$' "CPU not there" mkt boot 4
says '^EINVAL$' "wrong magic" mkt bootmagic
says '^EFAULT$' "bad pointer" mkt bootptr
says '^ok$' "a good boot after a bad pointer" mkt boot 3
says 'state=2 .*uname="flat"' "payload beats" mkt await $a 5
says 'cr0=0x80000011 cr4=0x20 efer=0x500 cs=0x10 ss=0x18' "entry state: registers" mkt entrystate $a
params=$(sed -n 's/^boot_params //p' $control/info)
says "rsi=$params r14=$ea r15=$params" "entry state: boot_params and entry" mkt entrystate $a
flags=$(mkt entrystate $a | sed 's/.*flags=//')
ok "entry state: interrupts are off" test $((flags & 0x200)) = 0
says "^entry=$ea cpus=3 apic=3 memory=$a.0x4000 state=running text=\"\"$" "instances" cat $control/instances

echo "# --- what a running instance is protected from"
says '^EBUSY$' "second boot of its CPU" mkt boot 3
says '^EBUSY$' "load over its memory" mkt flat $a
says 'Device or resource busy' "CPU online" sh -c "echo 1 >$cpus/cpu3/online"
says 'Device or resource busy' "pool remove" write pool "remove $a $(hex $pool_size)"
ok "rmmod" sh -c "! rmmod mkstock"
mkt unload
says '^ok$' "load b" mkt flat $b
says '^EBUSY$' "selection over its memory" mkt select "entry=$eb cpus=2 memory=$a+0x1000000" 2
says '^EBUSY$' "selection of its CPU" mkt select "entry=$eb cpus=2,3 memory=$b+0x1000000" 2
ok "it still beats" moves $a
says 'No such process' "kill of a free CPU" write kill 1
says 'No such process' "kill of an online CPU" write kill 0
says 'Invalid argument' "kill of no CPU" write kill 4096
says 'Invalid argument' "kill of nonsense" write kill x
ok "last words in the mailbox" mkt text $a "tired, \"really\""
says "state=ended text=\"tired, .really.\"" "instance ended, quotes cannot be forged" cat $control/instances
says 'Device or resource busy' "an ended instance keeps its CPU" sh -c "echo 1 >$cpus/cpu3/online"
says '^ok$' "kill" write kill 3
says '^$' "no instance is left" cat $control/instances

echo "# --- select"
says '^ok$' "load c behind b" mkt flat $c
says 'EINVAL' "nonsense" mkt select "cpus=2" 2
says 'EINVAL' "unknown word" mkt select "entry=$ec cpus=2 memory=$c+0x1000000 colour=red" 2
says 'EINVAL' "CPU out of range" mkt select "entry=$ec cpus=2,5000 memory=$c+0x1000000" 2
says 'EINVAL' "memory without size" mkt select "entry=$ec cpus=2 memory=$c" 2
says 'EINVAL' "memory not page aligned" mkt select "entry=$ec cpus=2 memory=$c+0x10" 2
says 'EADDRNOTAVAIL' "memory of the host" mkt select "entry=$ec cpus=2 memory=0x1000000+0x1000" 2
says 'EINVAL' "boot of a CPU that was not selected" mkt select "entry=$ec cpus=1 memory=$c+0x1000000" 2
says 'EINVAL' "entry that is not loaded" mkt select "entry=0x1000 cpus=2 memory=$c+0x1000000" 2
says 'EBUSY' "a selected CPU is online" sh -c "echo 1 >$cpus/cpu1/online; mkt select 'entry=$ec cpus=1,2 memory=$c+0x1000000' 2; echo 0 >$cpus/cpu1/online"
says '^ok$' "second image of the list, two CPUs" mkt select "entry=$ec cpus=1,2 memory=$c+0x1000000" 2
says 'uname="flat"' "it beats" mkt await $c 5
says "^entry=$ec cpus=1,2 apic=1,2 memory=$c.0x1000000 state=running" "instances" cat $control/instances
says 'Device or resource busy' "its second CPU is kept" sh -c "echo 1 >$cpus/cpu1/online"
says '^EBUSY$' "its second CPU cannot be booted" mkt boot 1
says '^ok$' "a selection holds for one boot: now the first image" mkt boot 3
says "^entry=$eb cpus=3" "instances" cat $control/instances
says '^ok$' "kill by the second CPU" write kill 1
ok "stands still" still $c
says '^ok$' "kill the other" write kill 3
ok "all CPUs are back" online 1 2 3

echo "# --- pool"
mkt unload
says 'Device or resource busy' "block of the pool cannot go online" sh -c "echo online >$blocks/memory$first/state"
says 'File exists' "overlap" write pool "add $a 0x1000"
says 'Device or resource busy' "memory of the host" write pool "add 0x1000000 0x100000"
says 'Device or resource busy' "a device" write pool "add 0xfee00000 0x1000"
says 'Device or resource busy' "no memory at all" write pool "add 0x1000000000 0x1000"
says 'Invalid argument' "not page aligned" write pool "add 0x1000 0x10"
says 'Invalid argument' "wraps" write pool "add 0xfffffffffffff000 0x2000"
says 'Invalid argument' "trailing word" write pool "add 0x1000 0x1000 x"
says 'Invalid argument' "unknown word" write pool "grow 0x1000 0x1000"
says 'No such file' "remove what is not there" write pool "remove 0x1000 0x1000"
says '^ok$' "window maps the pool" mkt maps $a 0x2000
says '^ok$' "window maps low memory" mkt maps $low 0x1000
says '^EPERM$' "window does not map the host" mkt maps 0x1000000 0x1000
says '^EPERM$' "nor beyond the pool's end" mkt maps $(hex $((pool + pool_size - 0x1000))) 0x2000
says 'Permission denied' "nor for anybody but root" mkt unprivileged maps $a 0x1000
mkt hold $a 0x1000 3 &
sleep 1
says 'Device or resource busy' "a mapping keeps the pool" write pool "remove $a $(hex $pool_size)"
wait
mkt flat $a
says 'Device or resource busy' "an image keeps the pool" write pool "remove $a $(hex $pool_size)"
mkt unload
says '^ok$' "pool remove" write pool "remove $a $(hex $pool_size)"
says '^EADDRNOTAVAIL$' "nothing can be loaded there now" mkt flat $a
says '^ok$' "pool add by a parameter of the module" \
	sh -c "rmmod mkstock && insmod /mkstock.ko pool=$a,$(hex $pool_size) tramp=$low && echo ok"
says "^$a $(hex $pool_size)$" "it is there" cat $control/pool
says "^trampoline $low$" "trampoline where it was asked for" cat $control/info
ok "its chunk is not offered" sh -c "! grep -q '^$low ' $control/low"
ok "module refuses memory of the host as pool" sh -c "rmmod mkstock; ! insmod /mkstock.ko pool=0x1000000,0x100000"
ok "module refuses a trampoline of the host" sh -c "! insmod /mkstock.ko tramp=0x1000"'000'
ok "module refuses an unknown role" sh -c "! insmod /mkstock.ko role=guest"
ok "all of it can be started again" insmod /mkstock.ko pool=$a,$(hex $pool_size)

# Each switch of the kernel that cannot be taken back has a suite of its own, or one would hide the other: here the limit, in
# strict.sh kexec_load_disabled, in reserved.sh lockdown.
if [ -e /proc/sys/kernel/kexec_load_limit_reboot ]; then
	echo 2 >/proc/sys/kernel/kexec_load_limit_reboot
	says '^ok$' "load within the limit" mkt flat $a
	says '^ok$' "unload counts, too" mkt unload
	says '^EPERM$' "limit is used up" mkt flat $a
else
	echo "# this kernel has no kexec_load_limit_reboot"
fi
plan
