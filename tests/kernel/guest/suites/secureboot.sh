# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC2034,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose
# machine: firmware=secureboot
# A host under UEFI Secure Boot, by a firmware that has keys: the kernel locks itself down, mkstock must be signed, and nothing is loaded.
. /lib.sh
. /kernfs.sh
cat /proc/cpuinfo >/tmp/cpuinfo
mount -t securityfs none /sys/kernel/security

says 'Secure boot enabled' "the firmware lets nothing run that is not signed" dmesg
says 'UEFI:db' "the kernel has the firmware's keys" dmesg
says '\[integrity\]' "the kernel has locked itself down" cat /sys/kernel/security/lockdown
ok "nobody told it to on the command line" sh -c "! grep -q lockdown /proc/cmdline"

says 'Key was rejected|Operation not permitted' "a module without a signature" insmod /mkstock.ko
# one byte of its code is another one
{ head -c 4096 /signed.ko && printf 'x' && tail -c +4098 /signed.ko; } >/tmp/forged.ko
ok "the forged one is as long" test $(wc -c </tmp/forged.ko) = $(wc -c </signed.ko)
says 'Key was rejected|Operation not permitted' "a module that is not what was signed" insmod /tmp/forged.ko
ok "no mkstock" test ! -e $control

free_before=$(free_kib)
ok "memory blocks go offline" take_blocks 4
module=/signed.ko
ok "a module that the machine's owner has signed" up abi=both
ok "the kernel does not call it unsigned" sh -c "! dmesg | grep -E 'mkstock.*(verification failed|unsigned)'"
says '^ok$' "blocks join the pool" write pool "add $(hex $pool) $(hex $pool_size)"
offline 3
a=$(hex $pool)
# EACCES is of IMA, which wants to see the file of what it lets load, and kexec_load(2) has none
says '^EACCES$|^EPERM$' "RFC: a Debian kernel is not loaded" linux one $a 0x0c000000 $low 3 1 -
says '^EACCES$|^EPERM$' "RFC: nor a payload" mkt flat $a
says '^EPERM$' "RFC: its memory is not shown" mkt maps $a 0x1000
says '^E[A-Z]+$' "RFC: there is nothing to boot" mkt boot 3
ok "no instance" sh -c "! grep . $control/instances"
ok "CPU goes back to the host" online 3
says '^ok$' "blocks leave the pool" write pool "remove $(hex $pool) $(hex $pool_size)"
ok "memory goes back to the host" sh -c "for b in 0 1 2 3; do echo online >$blocks/memory\$(($first + \$b))/state || exit 1; done"

mount -t multikernel none $fs
says '^ok$' "kernfs: baseline" baseline 512M "2,3"
says '^ok$' "kernfs: an instance is made" create one 256M 3
says '^EPERM$' "kernfs: a Debian kernel is not loaded, though Debian signed it" mkt file 1 /vmlinuz /instance.gz "$words"
says '^ready$' "kernfs: the instance is as before" cat $fs/instances/one/status
says '^ok$' "kernfs: the instance goes" remove one
says '^ok$' "kernfs: the pool goes" pool_empty 2,3
ok "the host has its CPUs" sh -c "[ \$(grep -c ^processor /proc/cpuinfo) = 4 ]"
umount $fs
ok "module unloads" rmmod mkstock
# A chunk of the pool that stays has 128 MiB; what each CPU keeps of free pages for itself, and is not counted, made up to 15 MiB in six runs.
free_after=$(free_kib)
echo "# free memory: $free_before KiB at first, $free_after at last"
ok "the host has its memory, but for 64 MiB" test "$free_after" -gt $((free_before - 65536))
ok "host is alive" alive
plan
