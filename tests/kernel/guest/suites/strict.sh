# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# strict_rfc=1: the dangers of the RFC kernel, for tests of its clients; and what stays forbidden even so.
. /lib.sh
cat /proc/cpuinfo >/tmp/cpuinfo

ok "memory blocks go offline" take_blocks 2
ok "module loads" up strict_rfc=1
a=$(hex $pool)
b=$(hex $((pool + 0x1000000)))
write pool "add $a $(hex $pool_size)" >/dev/null
offline 2 3
says '^strict_rfc 1$' "info" cat $control/info

says 'EOPNOTSUPP' "no selection" mkt select "entry=$(entry_of $a) cpus=3 memory=$a+0x1000000" 3
says '^EADDRNOTAVAIL$' "memory of the host is refused even so" mkt load 0x1000000 0x10 1000000:1000:10
says '^ok$' "load a" mkt flat $a
says '^ok$' "load b" mkt flat $b
says '^ok$' "boot on CPU 3: the first image" mkt boot 3
says 'uname="flat"' "a runs" mkt await $a 5
says 'beats=0' "b does not" mkt mailbox $b
says '^ok$' "boot on CPU 2: the first image again, in the same memory" mkt boot 2
says '^ok$' "second boot of a busy CPU restarts it" mkt boot 3
says '^ok$' "load over running memory" mkt flat $b
ok "two instances are known" sh -c "[ \$(wc -l <$control/instances) = 2 ]"
ok "no veto: the host takes CPU 3 back" online 3
ok "its instance is gone" until_ok 5 sh -c "! grep -q cpus=3 $control/instances"
ok "task of the host runs there" taskset 8 true
ok "the other runs on" moves $a
ok "the host takes CPU 2 back" online 2
ok "no instance is left" until_ok 5 sh -c "[ ! -s $control/instances ] || [ -z \"\$(cat $control/instances)\" ]"

mkt unload >/dev/null
i=0
while [ $i -lt 12 ]; do
	mkt flat $a >/dev/null
	i=$((i + 1))
done
says '^ok$' "unload" mkt unload
ok "ten of twelve images are gone" sh -c "[ \$(grep -c ^multikernel /proc/multikernel) = 2 ]"
mkt unload >/dev/null
says 'No kimages loaded' "two unloads for the rest" cat /proc/multikernel
says '^ok$' "image whose entry is empty memory" mkt load $b 0x10 ${b#0x}:1000:0
echo 1 >/proc/sys/kernel/kexec_load_disabled
says '^EPERM$' "kexec_load_disabled: no load" mkt flat $a
says '^EPERM$' "kexec_load_disabled: no unload" mkt unload
says '^multikernel ' "the image is still there" cat /proc/multikernel
ok "module unloads" until_ok 5 rmmod mkstock
ok "host is alive" alive
plan
