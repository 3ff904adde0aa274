# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# Messages both ways, full rings, and a peer that breaks the rules.
. /lib.sh
cat /proc/cpuinfo >/tmp/cpuinfo

ok "memory blocks go offline" take_blocks 3
ok "module loads" up
a=$(hex $pool)
area=$(hex $((pool + pool_size - 0x100000)))
write pool "add $a $(hex $pool_size)" >/dev/null
offline 3
memory=$(hex $((pool + pool_size - 0x200000)))
extra="multikernel.memory=mem@$memory+0x4000:1:0"

echo "# --- adding and removing"
says 'Invalid argument' "no channel where none was written" write channels "add one $area 0"
says '^ok$' "Debian kernel loads, with a channel of 16 messages" linux one $a 0x0c000000 $low 3 1 $area
says 'Cannot assign' "memory of the host" write channels "add one 0x1000000 0"
says 'Invalid argument' "third end" write channels "add one $area 2"
says 'Invalid argument' "name that leaves its folder" write channels "add ../one $area 0"
says 'Invalid argument' "unknown word" write channels "join one $area 0"
says 'No such file' "remove what is not there" write channels "remove one"
says '^ok$' "add" write channels "add one $area 0"
says 'File exists' "add again" write channels "add one $area 0"
says "^one $area end=0 slots=16 size=64 sent=0 received=0 rejected=0 beats=0 last_beat_ms=-1 peer=gone" "its line" cat $control/channels
ok "device is root's alone" sh -c "ls -l /dev/mkchan/one | grep -q '^crw-------'"
says '^ok$' "remove" write channels "remove one"
ok "device is gone" test ! -e /dev/mkchan/one
says '^ok$' "add once more" write channels "add one $area 0"

echo "# --- full ring, nobody at the other end yet"
says 'taken=16 refused=4' "20 messages into 16 slots: the last four are refused" mkt flood one 20 16
says 'sent=16 .*rejected=4' "they are counted" cat $control/channels
says '^EMSGSIZE|Message too long' "message longer than a slot" mkt flood one 1 65
says 'taken=0 refused=1' "nothing got in by that" mkt flood one 1 16
ok "a blocking writer waits" sh -c "timeout 1 mkt send one late; [ \$? != 0 ]"

echo "# --- with an instance"
says '^ok$' "boot" mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x0c000000,$low+0x10000" 3
ok "it beats" mkt await $a 40
ok "peer is up" until_ok 10 grep -q peer=up $control/channels
says '^echo message 0$' "the instance read the first of the 16, and none was overwritten" mkt recv one 5
n=0
while mkt recv one 2 >/tmp/line; do
	n=$((n + 1))
	grep -q "^echo message $n\$" /tmp/line || break
done
ok "and the other 15 in order" test $n = 15
beats_before=$(sed -n 's/.* beats=\([0-9]*\).*/\1/p' $control/channels)
sleep 3
ok "heartbeats are counted without a reader" \
	test "$(sed -n 's/.* beats=\([0-9]*\).*/\1/p' $control/channels)" -gt "$beats_before"
says 'last_beat_ms=[0-9]{1,4} ' "the last is recent" cat $control/channels
i=0
while [ $i -lt 50 ]; do
	write channels "ping one" >/dev/null || break
	i=$((i + 1))
done
ok "50 pings are answered" test $i = 50
echo "# $(sed -n 's/.*\(rtt_ns=[0-9]*\)/round trip \1/p' $control/channels)"
says '^ok$' "instance is asked for a flood" mkt send one "flood one 200 16"
sleep 3
refused_before=$(sed -n 's/.*peer_rejected=\([0-9]*\).*/\1/p' $control/channels)
ok "its surplus was refused on its side" test "$refused_before" -gt 0
ok "all that was taken arrives, in order, and nothing else" sh -c "mkt count one 5 >/tmp/count"
echo "# $(cat /tmp/count)"
ok "that is a full ring of 16 at least, how much more depends on the scheduler" \
	sh -c "n=\$(sed 's/got=\([0-9]*\).*/\1/' /tmp/count); [ \$n -ge 16 ] && [ \$n -lt 200 ]"
says '^echo still here$' "channel works afterwards" sh -c "mkt send one 'still here' && mkt recv one 5"

mkt send one 'a longer one' >/dev/null
ok "it waits to be read" until_ok 5 grep -q 'waiting=1' $control/channels
says '^EMSGSIZE$' "a reader with too little room gets nothing" mkt short one 12
says '^echo a longer one$' "and the message waits for one with enough" mkt recv one 5

says '^told twice$' "an edge-triggered epoll is told of each message" mkt edge one
until_ok 5 sh -c "! mkt recv one 1" >/dev/null	# what it left

echo "# --- no interrupt is lost: nothing else comes through the channel any more, that would wake a sleeper"
mkt send one 'run touch /tmp/still' >/dev/null
sleep 2
mkt send one 'answer one 50000' >/dev/null
says '^50000 of 50000$' "50,000 round trips" mkt ask one 50000

echo "# --- load, both ways at once"
messages=200000
grep -q mktest_long /proc/cmdline && messages=5000000
mkt send one "stress one $messages 64" >/dev/null
began=$(cut -d. -f1 /proc/uptime)
says "^sent=$messages received=$messages lost=0 doubled=0 bad=0\$" "host: no message of $messages is lost, doubled, or changed" \
	mkt stress one $messages 64
echo "# $((2 * messages)) messages in $(($(cut -d. -f1 /proc/uptime) - began)) s"
says "^sent=$messages received=$messages lost=0 doubled=0 bad=0\$" "instance: no message of $messages either" mkt recv one 60
echo "# $(sed -n 's/.*\(sent=[0-9]* received=[0-9]*\).*\(blocked=[0-9]*\).*/\1 \2/p' $control/channels)"

echo "# --- memory that both map"
says 'Invalid argument' "half a page" write channels "share mem $memory 0x4800 0 0"
says 'Invalid argument' "third end" write channels "share mem $memory 0x4000 2 0"
says 'Invalid argument' "a writer that is no end" write channels "share mem $memory 0x4000 0 2"
says 'Cannot assign' "memory of the host" write channels "share mem 0x1000000 0x4000 0 0"
says 'File exists' "a name that a channel has" write channels "share one $memory 0x4000 0 0"
says '^ok$' "share" write channels "share mem $memory 0x4000 0 0"
says "^mem $memory end=0 kind=shared_memory bytes=0x4000 writer=0 open=0" "its line" grep '^mem' $control/channels
says '^ok$' "the declared writer writes" mkt share write mem 5000 'from the host'
mkt send one "share read mem 5000" >/dev/null
says '^from the host$' "the instance reads it" mkt recv one 5
mkt send one "share limits mem 16384" >/dev/null
says '^EACCES EACCES EINVAL ENXIO ENXIO EOPNOTSUPP ok EACCES$' \
	"and can do nothing else" mkt recv one 5
mkt send one "share write mem 0 mine" >/dev/null
says '^$' "not even by its order" mkt recv one 2
says '^ok$' "rename" write channels "rename mem memory"
says '^from the host$' "same memory" mkt share read memory 5000
says '^ok$' "remove" write channels "remove memory"
ok "device is gone" test ! -e /dev/mkchan/memory

echo "# --- the host goes, and comes back"
mkt send one "events one 30 2" >/dev/null
sleep 1
write channels "remove one" >/dev/null
sleep 1
says '^ok$' "add again" write channels "add one $area 0"
says '^events: !EPIPE !ECONNRESET' "an open file in the instance is told of both" mkt recv one 5
mkt send one 'sleep 6' >/dev/null
sleep 1
mkt send one before >/dev/null
write channels "remove one" >/dev/null
write channels "add one $area 0" >/dev/null
mkt send one after >/dev/null
says '^echo before$' "what was in the ring is not lost" mkt recv one 10
says '^echo after$' "and comes in order" mkt recv one 5

echo "# --- the instance goes, and another one comes"
mkt send one 'sleep 60' >/dev/null
sleep 1
mkt flood one 40 16 >/dev/null
(mkt send one late >/tmp/late 2>&1) &
(mkt events one 60 2 >/tmp/events 2>&1) &
sleep 1
ok "a writer waits" sh -c "[ ! -s /tmp/late ]"
says '^ok$' "kill" write kill 3
ok "the writer is told" until_ok 3 grep -q '^EPIPE$' /tmp/late
says 'peer=gone' "its line" grep '^one' $control/channels
mkt unload >/dev/null
says '^ok$' "load anew, the area, too" linux one $a 0x0c000000 $low 3 1 $area
says '^ok$' "boot" mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x0c000000,$low+0x10000" 3
ok "it beats" mkt await $a 40
ok "an open file of the host is told of both" until_ok 10 grep -q '^!EPIPE !ECONNRESET' /tmp/events
says 'peer=up .*restarts=1' "its line" grep '^one' $control/channels
says '^echo hello$' "the same channel works" sh -c "mkt send one hello && mkt recv one 5"

echo "# --- another name"
(mkt recv one 20 >/tmp/renamed 2>&1) &
sleep 1
says '^ok$' "rename under a reader" write channels "rename one successor"
ok "device has the new name" test -c /dev/mkchan/successor
ok "and not the old one" test ! -e /dev/mkchan/one
says "^successor $area end=0 .* peer=up" "so has its line" cat $control/channels
says 'No such file' "the old name is free" write channels "rename one other"
says 'File exists' "a name that is taken, even by itself" write channels "rename successor successor"
says 'Invalid argument' "new name that leaves its folder" write channels "rename successor ../one"
says 'Invalid argument' "hidden name" write channels "rename successor .one"
says 'Invalid argument' "name too long" write channels "rename successor a12345678901234567890123456789012"
says 'Invalid argument' "no new name" write channels "rename successor"
says '^ok$' "new opens go to the same channel" mkt send successor 'who is it'
ok "an open file goes on" until_ok 5 grep -q '^echo who is it$' /tmp/renamed
says '^ok$' "back, with a dot and a line" write channels "rename successor one.2-b"
says '^ok$' "and to its first name" write channels "rename one.2-b one"
ok "nothing is left of the others" sh -c "[ \"\$(ls /dev/mkchan)\" = one ]"

echo "# --- a peer that breaks the rules: the words that it could write"
word() { hex $((area + $1)); }
mkt poke $(word 0x100) 0xdeadbeef	# its head, far ahead
write channels "ping one" >/dev/null
ok "false head: host lives" alive
mkt poke $(word 0x40) 0xff		# its APIC id: everybody
mkt poke $(word 0xc0) 0x7fffffff	# tail of our ring
mkt flood one 4 16 >/dev/null
ok "false tail: host lives" alive
mkt poke $(word 0x24) 0			# we are gone
mkt poke $(word 0x28) 0x12345678	# and somebody else
mkt poke $(word 0x4c) 0x80000000	# its first message
mkt poke $(word 0x50) 0			# it promises nothing
write channels "ping one" >/dev/null
mkt flood one 4 16 >/dev/null
timeout 2 mkt recv one 1 >/dev/null 2>&1
ok "false epochs: host lives" alive
mkt poke $(word 0x100) 0x7fffffff
timeout 2 mkt recv one 1 >/dev/null 2>&1
ok "false head under a reader: host lives" alive
mkt poke $(word 0x10) 0xffffffff	# geometry
mkt poke $(word 0x18) 0xfffffff0
mkt poke $(word 0x8) 0x80000000
mkt flood one 4 16 >/dev/null
cat $control/channels >/dev/null
ok "false geometry after the start: not read again" alive
says '^ok$' "remove" write channels "remove one"
says 'Invalid argument' "false geometry is refused at the start" write channels "add one $area 0"
ok "instance still beats in its mailbox" moves $a
says '^ok$' "kill" write kill 3
ok "module unloads" rmmod mkstock

echo "# --- a reader does not hold a channel back"
ok "module loads" up pool=$a,$(hex $pool_size)
linux two $a 0x0c000000 $low 3 1 $area >/dev/null
write channels "add two $area 0" >/dev/null
(mkt recv two 30; echo "reader: $?") >/tmp/reader 2>&1 &
sleep 1
ok "rmmod waits for open devices" sh -c "! rmmod mkstock"
says '^ok$' "remove under a reader" write channels "remove two"
ok "reader is told" until_ok 5 grep -q 'ENODEV' /tmp/reader
ok "module unloads" until_ok 5 rmmod mkstock
plan
