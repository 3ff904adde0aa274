# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC1083,SC2012,SC2016,SC2034,SC2045,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose; braces are words of mkt's trees
# The console of an instance: /dev/mktty here, mktty0 there.
. /lib.sh
cat /proc/cpuinfo >/tmp/cpuinfo

ok "memory blocks go offline" take_blocks 3
ok "module loads" up
a=$(hex $pool)
write pool "add $a $(hex $pool_size)" >/dev/null
offline 3
tail=$control/tty/3

echo "# --- choosing"
ok "device is root's alone" sh -c "ls -l /dev/mktty | grep -q '^crw-------'"
says '^EINVAL$' "no number" mkt tty choose 'one
'
says '^EINVAL$' "zero" mkt tty choose '0
'
says '^EINVAL$' "a number below zero" mkt tty choose '-3
'
says '^ENODEV$' "no such instance" mkt tty choose '3
'
says '^ENODEV$' "only 15 characters are looked at" mkt tty choose '7              no more'
extra=loglevel=7	# after `quiet`, which keeps the log from every console
says '^ok$' "Debian kernel loads" linux one $a 0x0c000000 $low 3 1 -
says '^ENODEV$' "loaded is not started" mkt tty choose '3
'

echo "# --- with an instance"
says '^ok$' "boot" mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x0c000000,$low+0x10000" 3
(mkt tty talk 3 30 'mk-booted' '') >/tmp/boot 2>&1 &
reader=$!
ok "it beats" mkt await $a 60
says '^ok$' "its boot CPU's APIC id is its number" mkt tty choose '3
'
mkt tty talk 3 1 'mk-booted' 'echo mk-booted' >/dev/null
mkt tty talk 3 1 'mk-booted' 'echo mk-booted' >/dev/null
wait $reader
says 'Linux version' "the boot log was replayed to who read from the start" grep -a 'Linux version' /tmp/boot
says 'mk-21' "shell answers" mkt tty talk 3 20 'mk-21' "printf 'mk-%d\\n' \$((3 * 7))"
says "$(uname -r)" "its own kernel answers" mkt tty talk 3 20 'done$' 'uname -r; echo done'
says 'unchosen=ENOTCONN empty=EAGAIN long=4080' "reads before the choice and without output, and a long write" mkt tty errors 3
mkt tty talk 3 1 'never' "$(printf '\003')true" >/dev/null
says 'mk-up' "shell is back after Ctrl-C" until_ok 10 mkt tty talk 3 3 'mk-up' "echo mk-up"

echo "# --- much output, no output, much input"
says 'bytes=120000 lines=2000' "120000 bytes arrive whole" \
	mkt tty drain 3 3 "i=0; while [ \$i -lt 2000 ]; do printf '%058d;\\n' \$i; i=\$((i + 1)); done"
says 'mk-after' "shell still answers" mkt tty talk 3 20 'mk-after' "echo mk-after"
mkt tty talk 3 5 'mk-none' "i=0; while [ \$i -lt 2000 ]; do printf '%058d;\\n' \$i; i=\$((i + 1)); done >/tmp/much; echo mk-none" >/dev/null
(mkt tty hold 3 4 &) # a reader that does not read
mkt tty talk 3 1 'never' "cat /tmp/much; echo mk-unread" >/dev/null
sleep 4
says 'mk-free' "reader that does not read holds nobody up once it is gone" mkt tty talk 3 20 'mk-free' "echo mk-free"
ok "who connects finds no history" sh -c "! mkt tty talk 3 1 'never' '' | grep -aq mk-"
says 'mk-free' "but the tail has it" grep -ao 'mk-free' $tail
mkt tty talk 3 1 'never' "sleep 3" >/dev/null
says 'writes=[0-9]+ then=ENOSPC' "input that nobody reads: ENOSPC" mkt tty fill 3
ok "host is alive" alive
sleep 4
mkt tty talk 3 1 'never' "$(printf '\003')true" >/dev/null
says 'mk-again' "shell is back" until_ok 15 mkt tty talk 3 3 'mk-again' "echo mk-again"
says 'mk-log' "its log comes, too" mkt tty talk 3 20 'mk-log' "echo mk-log >/dev/kmsg"

echo "# --- several readers"
(mkt tty talk 3 4 'never' '' | tr -cd '.' | wc -c) >/tmp/first 2>&1 &
first=$!
(mkt tty talk 3 4 'never' '' | tr -cd '.' | wc -c) >/tmp/second 2>&1 &
second=$!
sleep 1
mkt tty talk 3 2 'never' "i=0; while [ \$i -lt 500 ]; do printf .; i=\$((i + 1)); done" | tr -cd '.' | wc -c >/tmp/third
wait $first $second
echo "# $(cat /tmp/first) and $(cat /tmp/second) and $(cat /tmp/third)"
says '^500$' "each byte went to one of three readers" sh -c 'echo $(($(cat /tmp/first) + $(cat /tmp/second) + $(cat /tmp/third)))'

echo "# --- an instance that breaks the rules: the words that it could write"
word() { hex $((pool + 0x8000 + $1)); }
(mkt tty talk 3 3 'never' '' >/dev/null) &
sleep 1
mkt poke $(word 0x100) 0xdeadbeef	# head of its output, far ahead
mkt poke $(word 0xc0) 0x7fffffff	# tail of its input
mkt tty talk 3 1 'never' 'echo hi' >/dev/null
cat $tail >/dev/null
ok "false indices: host lives" alive
mkt poke $(word 0x8) 0xff	# where to send to
mkt poke $(word 0x0) 0		# magic
mkt tty talk 3 1 'never' 'echo hi' >/dev/null
ok "false header: host lives" alive
ok "instance still beats" moves $a
says '^ok$' "kill" write kill 3
says '^ENODEV$' "it is gone" mkt tty choose '3
'
ok "its tail, too" test ! -e $tail

echo "# --- last words, and the next boot of the same instance"
mkt unload >/dev/null
extra=
says '^ok$' "loads" linux one $a 0x0c000000 $low 3 1 -
says '^ok$' "boot" mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x0c000000,$low+0x10000" 3
ok "it beats" mkt await $a 60
says 'mk-second' "shell answers" until_ok 10 mkt tty talk 3 3 'mk-second' "echo mk-second"
(mkt tty talk 3 60 'never' 'echo c >/proc/sysrq-trigger') >/tmp/words 2>&1 &
reader=$!
ok "instances says that it panicked" until_ok 20 instance_says 'cpus=3 .*state=ended text="panic'
says 'Kernel panic - not syncing' "the tail has the last words" grep -a 'Kernel panic' $tail
says '^ok$' "kill under a reader" write kill 3
ok "reader is told" until_ok 5 grep -aq 'ENODEV' /tmp/words
wait $reader
says 'Kernel panic - not syncing' "and had them" grep -a 'Kernel panic' /tmp/words
ok "CPU goes back to the host" online 3
ok "module unloads" until_ok 5 rmmod mkstock
ok "device is gone" test ! -e /dev/mktty
ok "host is alive" alive
plan
