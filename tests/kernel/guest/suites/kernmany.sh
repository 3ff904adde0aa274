# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC1083,SC2012,SC2016,SC2034,SC2045,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose; braces are words of mkt's trees
# Twenty instances of the kernfs ABI by two overlays, as many of them running as there are CPUs.
# machine: cpus=8
. /lib.sh
. /kernfs.sh
cat /proc/cpuinfo >/tmp/cpuinfo
mkt payload >/tmp/flat

ok "module loads" up abi=kernfs
mount -t multikernel none $fs
says '^ok$' "baseline, with room for the park" baseline 322M 1,2,3,4,5,6,7
batch() {
	local first=$1 last=$2 n fragments=
	for n in $(seq $first $last); do
		fragments="$fragments fragment@$(printf %x $n){ target-path:str=/instances __overlay__{ instance-create{ instance-name:str=tiny$n id:u32=$n \
resources{ memory-bytes:u64=0x1000000 $([ $n -gt 7 ] || echo cpus:u64=$n) } } } }"
	done
	mkt fdt $fragments | mkt put $fs/overlays/new
}
says '^ok$' "ten creates in one overlay" batch 1 10
says '^applied$' "it is applied" newest_status
says '^ok$' "ten more" batch 11 20
says '^applied$' "it is applied" newest_status
says '^20$' "twenty instances" sh -c "ls $fs/instances | wc -l"
says '^20$' "twenty regions in /proc/iomem" grep -c mk-instance- /proc/iomem
create more 16M - >/dev/null
says '^failed$' "the pool has no more" newest_status
load_all() {
	local n
	for n in $(seq 20); do mkt file $n /tmp/flat - "n=$n" | grep -q ok || return 1; done
}
start_all() {
	local n
	for n in $(seq 7); do mkt exec $n | grep -q ok || return 1; done
}
beats_all() {
	local n
	for n in $(seq 7); do mkt await $(base_of tiny$n) 10 >/dev/null || return 1; done
}
begin=$(cut -d' ' -f1 /proc/uptime)
ok "all load" load_all
ok "seven start" start_all
echo "# loaded 20, started 7 between uptime $begin and $(cut -d' ' -f1 /proc/uptime)"
ok "seven beat" beats_all
says '^7$' "instances lists them" grep -c state=running $control/instances
says '^20$' "/proc/kimage lists twenty" grep -c multikernel /proc/kimage
ok "host is alive" alive
ok "all stop" sh -c 'for n in $(seq 7); do mkt halt $n | grep -q ok || exit 1; done'
ok "all go" sh -c '. /lib.sh; . /kernfs.sh; for n in $(seq 20); do mkt fileunload $n | grep -q ok && remove tiny$n | grep -q ok || exit 1; done'
says '^$' "no instance is left" ls $fs/instances
umount $fs
ok "module unloads" rmmod mkstock
says '^8$' "CPUs are back" grep -c ^processor /proc/cpuinfo
ok "host is alive" alive
plan
