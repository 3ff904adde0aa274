# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# A channel between two instances: the host lays it out and has no part in it.
. /lib.sh
cat /proc/cpuinfo >/tmp/cpuinfo

ok "memory blocks go offline" take_blocks 4
ok "module loads" up
a=$(hex $pool)
b=$(hex $((pool + 0x10000000)))
area=$(hex $((pool + pool_size - 0x100000)))
area2=$(hex $((pool + pool_size - 0x200000)))
between=$(hex $((pool + pool_size - 0x300000)))
memory=$(hex $((pool + pool_size - 0x400000)))
write pool "add $a $(hex $pool_size)" >/dev/null
offline 2 3

start_two() {
	extra="multikernel.channel=pair@$between:1 multikernel.memory=mem@$memory+0x2000:1:0"
	linux two $b 0x0c000000 $low2 2 2 $area2 >/dev/null || return 1
	mkt select "entry=$(entry_of $b) cpus=2 memory=$b+0x0c000000,$low2+0x10000" 2 >/dev/null
}

says '^ok$' "the host lays a channel out, and takes no end of it" \
	write channels "create pair $between - 64 256 $(apic_of 3) $(apic_of 2)"
extra="multikernel.channel=pair@$between:0 multikernel.memory=mem@$memory+0x2000:0:0"
linux one $a 0x0c000000 $low 3 1 $area >/dev/null
write channels "add one $area 0" >/dev/null
mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x0c000000,$low+0x10000" 3 >/dev/null
ok "two starts" start_two
write channels "add two $area2 0" >/dev/null
ok "one beats" mkt await $a 60
ok "two beats" mkt await $b 60
ok "peers are up" until_ok 20 sh -c "[ \$(grep -c peer=up $control/channels) = 2 ]"
ok "the host has no device for it" test ! -e /dev/mkchan/pair
says "^pair $between end=- slots=64 size=256 ends=up,up" "but sees both ends" grep '^pair' $control/channels
says 'File exists' "its name is taken" write channels "add pair $area 0"
says 'Invalid argument' "the host looks after no memory that holds no channel" write channels "add other $memory -"
says '^ok$' "the host may look away" write channels "remove pair"
says '^ok$' "and look again" write channels "add pair $between -"

echo "# --- load, both ways at once"
mkt send one "stress pair 200000 256" >/dev/null
mkt send two "stress pair 200000 256" >/dev/null
says '^sent=200000 received=200000 lost=0 doubled=0 bad=0$' "one: no message of 200,000 is lost, doubled, or changed" mkt recv one 120
says '^sent=200000 received=200000 lost=0 doubled=0 bad=0$' "two: no message of 200,000 either" mkt recv two 60

echo "# --- memory of both"
mkt send one 'share write mem 100 said_by_one' >/dev/null
says '^ok$' "one, its declared writer, writes" mkt recv one 5
mkt send two 'share read mem 100' >/dev/null
says '^said_by_one$' "two reads" mkt recv two 5
mkt send two 'share limits mem 8192' >/dev/null
says '^EACCES EACCES EINVAL ENXIO ENXIO EOPNOTSUPP ok EACCES$' "and can do nothing else" mkt recv two 5

echo "# --- one of them ends, and comes back"
mkt send one 'events pair 90 3' >/dev/null
sleep 1
mkt send two panic >/dev/null
ok "two panics" until_ok 10 instance_says 'cpus=2 .*state=ended text="panic'
says '^ok$' "kill" write kill 2
mkt unload >/dev/null
ok "two starts again" start_two
ok "two beats" mkt await $b 60
mkt send two 'say pair i am back' >/dev/null
says '^events: !EPIPE !ECONNRESET i am back' "one is told of both, and reads the new one" mkt recv one 30

echo "# --- the host stops one of them without a word of it"
mkt send one 'events pair 60 1' >/dev/null
sleep 1
says '^ok$' "kill" write kill 2
says '^events: !EPIPE' "one is told" mkt recv one 10
says 'ends=up,gone' "the line says so" grep '^pair' $control/channels
ok "one beats" moves $a
says '^ok$' "kill" write kill 3
ok "module unloads" sh -c "echo remove one >$control/channels; echo remove two >$control/channels; rmmod mkstock"
plan
