# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC1083,SC2012,SC2016,SC2034,SC2045,SC2046,SC2086,SC2154  # sourced after one another; words are split on purpose; braces are words of mkt's trees
# The tables of the kernfs ABI: errno of a baseline, how overlays fail, what is lenient and not atomic, rollback, both ABIs at once.
. /lib.sh
. /kernfs.sh
cat /proc/cpuinfo >/tmp/cpuinfo
mkt payload >/tmp/flat

tree() { mkt fdt "$@" | mkt put $fs/device_tree; }
root() { mkt tree $fs/device_tree; }
memory="memory@0{ size:u64=0x8000000 }"

echo "# --- module parameter"
says 'Invalid argument' "abi of another name" insmod /mkstock.ko abi=other
ok "abi=both" up abi=both
ok "both are there" test -e /proc/multikernel -a -e /proc/kimage
says '^abi both$' "info says so" cat $control/info
mount -t multikernel none $fs

echo "# --- baseline"
says 'E2BIG' "more than 1 MiB" sh -c "dd if=/dev/zero bs=1048577 count=1 2>/dev/null | mkt put $fs/device_tree"
says 'EINVAL' "no tree" sh -c "echo hello | mkt put $fs/device_tree"
says 'EINVAL' "longer than its header says" sh -c "{ mkt fdt resources{ cpus:u64=3 $memory }; echo; } | mkt put $fs/device_tree"
says 'EINVAL' "an instance in it" tree instances{ x{ } } resources{ cpus:u64=3 $memory }
says 'EINVAL' "no resources" tree compatible:str=x
says 'EINVAL' "no cpus" tree resources{ $memory }
says 'EINVAL' "cpus of four bytes" tree resources{ cpus:u32=3 $memory }
says 'EINVAL' "no memory" tree resources{ cpus:u64=3 }
says 'EINVAL' "legacy memory" tree resources{ cpus:u64=3 memory-base:u64=0 memory-bytes:u64=4096 }
says 'EINVAL' "size 0" tree resources{ cpus:u64=3 memory@0{ size:u64=0 } }
says 'EINVAL' "size of four bytes" tree resources{ cpus:u64=3 memory@0{ size:u32=4096 } }
says 'EINVAL' "size no multiple of a page" tree resources{ cpus:u64=3 memory@0{ size:u64=4097 } }
says 'EINVAL' "node beyond all" tree resources{ cpus:u64=3 memory@0{ size:u64=4096 numa-node-id:u32=4096 } }
says 'EINVAL' "node that is offline" tree resources{ cpus:u64=3 memory@0{ size:u64=4096 numa-node-id:u32=7 } }
says 'EINVAL' "device without ids" tree resources{ cpus:u64=3 $memory devices{ x{ device-type:str=pci } } }
says 'ENODEV' "CPU that is not there" tree resources{ cpus:u64=77 $memory }
says 'ENOMEM' "more memory than there is" tree resources{ cpus:u64=3 memory@0{ size:u64=0x100000000 } }
says '^new$' "none of them left a transaction" ls $fs/overlays
says '^4$' "none of them took a CPU" grep -c ^processor /proc/cpuinfo
says '^$' "none of them took memory" chunks
says 'EPERM|failed' "/resources before there is a pool" sh -c ". /lib.sh; . /kernfs.sh; overlay /resources cpu-add{ cpu@0{ reg:u64=3 } }; newest_status"
says 'EBUSY' "the boot CPU: fails last" tree resources{ cpus:u64=0,2,3 memory@0{ size:u64=0x10000000 } instances{ } devices{ x{ } y{ device-type:str=pci pci-id:str=0000:00:1f.3 vendor-id:u32=1 device-id:u32=2 } } }
says '0x010000000' "what came before it stays" chunks
says '^/resources/cpus-available 0x000000002 0x000000003$' "its other CPUs as well" root
says 'EBUSY' "so the same again is refused" tree resources{ cpus:u64=2,3 $memory }
says '^0$' "a device that cannot be had is only missing" sh -c "mkt tree $fs/device_tree | grep -c pci@"
says '^4096 |^[1-9][0-9]* end' "reads" mkt reads $fs/device_tree 65536

echo "# --- overlays: write"
before=$(newest)
says 'EINVAL' "at an offset" sh -c "mkt fdt x{ } | mkt put $fs/overlays/new 8"
says 'EINVAL' "nothing" sh -c "mkt put $fs/overlays/new </dev/null"
says 'EINVAL' "no tree" sh -c "echo hello | mkt put $fs/overlays/new"
says "^$before$" "none of them left a transaction" newest
says '^short 4096$' "5000 bytes are cut to 4096" sh -c "mkt fdt 'x:str=$(head -c 5000 /dev/zero | tr '\0' a)' | mkt put $fs/overlays/new"
says '^failed$' "and what is cut fails" newest_status

# fails DESCRIPTION COMMAND...: the write succeeds, the transaction does not
fails() {
	local description=$1
	shift
	says '^ok failed$' "fails: $description" sh -c '. /lib.sh; . /kernfs.sh; echo $("$@") $(newest_status)' x "$@"
}
applies() {
	local description=$1
	shift
	says '^ok applied$' "applied: $description" sh -c '. /lib.sh; . /kernfs.sh; echo $("$@") $(newest_status)' x "$@"
}
raw() { mkt fdt "$@" | mkt put $fs/overlays/new; }
cat >>/kernfs.sh <<'SHELL'
raw() { mkt fdt "$@" | mkt put $fs/overlays/new; }
SHELL
fails "no fragment" raw compatible:str=x
fails "unit that is no number" raw fragment@zz{ target-path:str=/instances __overlay__{ } }
fails "no target" raw fragment@0{ __overlay__{ } }
fails "target without its end" raw fragment@0{ target-path:raw=/instances __overlay__{ } }
fails "no __overlay__" raw fragment@0{ target-path:str=/instances }
fails "unknown target" overlay /elsewhere
fails "unknown instance" overlay /instances/nobody
fails "instance with a slash" overlay /instances/a/b
fails "operation at another target" overlay /instances cpu-add{ cpu@0{ reg:u64=3 } }
fails "create without resources" overlay /instances instance-create{ instance-name:str=x }
fails "create without a name" overlay /instances instance-create{ resources{ } }
fails "create with a slash" create a/b 16M 3
fails "create with id 0" create x 16M 3 0
fails "create with device-names" overlay /instances instance-create{ instance-name:str=x resources{ device-names:str=a } }
fails "create beyond the pool" create x 1G 3
fails "create, memory no multiple of a page" create x 4097 3
fails "remove of nobody" remove nobody
fails "pool memory-add with reg" overlay /resources memory-add{ memory@0{ size:u64=4096 reg:u64=0,4096 } }
fails "pool memory-remove of no chunk" overlay /resources memory-remove{ memory@0{ reg:u64=0x200000,0x200000 } }
fails "pool cpu-remove of a CPU of the host" overlay /resources cpu-remove{ cpu@0{ reg:u64=1 } }
fails "pool cpu-add of the boot CPU" overlay /resources cpu-add{ cpu@0{ reg:u64=0 } }
fails "pool device-add of one that is not there" overlay /resources device-add{ pci@0{ pci-id:str=0000:3f:1f.7 } }
says '^$' "no instance came of it" ls $fs/instances
applies "items of other names are ignored" overlay /resources memory-add{ region@0{ size:u64=4096 } }

echo "# --- lenient and not atomic"
applies "CPUs that are not free, devices that are not there" overlay /instances instance-create{ instance-name:str=poor id:u32=9 resources{ memory-bytes:u64=0x1000000 cpus:u64=1,3,77 devices{ a{ device-type:str=pci pci-id:str=0000:09:00.0 vendor-id:u32=1 device-id:u32=2 } b{ device-type:str=platform device-name:str=x } } } }
says '^/resources/cpus 0x000000003$' "it has the one that was free" mkt tree $fs/instances/poor/device_tree
says '^9$' "its id" cat $fs/instances/poor/id
fails "its name again" create poor 16M 2
fails "its id again" create other 16M 2 9
fails "fragments: the second one fails" raw fragment@a{ target-path:str=/instances __overlay__{ instance-remove{ instance-name:str=nobody } } } fragment@9{ target-path:str=/instances __overlay__{ instance-create{ instance-name:str=left resources{ memory-bytes:u64=0x1000000 } } } }
says '^ready$' "what came before it stays, units are hex" cat $fs/instances/left/status
says '^1$' "it got the first free id" cat $fs/instances/left/id
applies "only the first of two creates in a fragment" overlay /instances instance-create{ instance-name:str=first resources{ } } instance-create{ instance-name:str=second resources{ } }
says '^first.left.poor$' "only that one is there" sh -c "ls $fs/instances | tr '\n' . | sed 's/\.$//'"

echo "# --- resources of an instance"
fails "cpu-add of one that is not free" overlay /instances/left cpu-add{ cpu@0{ reg:u64=3 } }
applies "cpu-add" overlay /instances/left cpu-add{ cpu@0{ reg:u32=2 } }
says '^/resources/cpus 0x000000002$' "it has it" mkt tree $fs/instances/left/device_tree
fails "cpu-remove of one it has not" overlay /instances/left cpu-remove{ cpu@0{ reg:u64=3 } }
base=$(base_of left)
chunk=$(chunks | cut -d' ' -f1)
applies "memory-add of a free range" overlay /instances/left memory-add{ memory@0{ reg:u64=$((chunk + 0x8000000)),0x2000000 } }
says "^/resources/memory-bytes 0x003000000$" "sum of its regions" mkt tree $fs/instances/left/device_tree
says "mk-instance-1-left-region-1" "/proc/iomem has the second one" cat /proc/iomem
fails "memory-add of one in use" overlay /instances/left memory-add{ memory@0{ reg:u64=$((chunk + 0x8000000)),0x2000000 } }
fails "memory-remove of half a region" overlay /instances/left memory-remove{ memory@0{ reg:u64=$((chunk + 0x8000000)),0x1000000 } }
applies "memory-remove" overlay /instances/left memory-remove{ memory@0{ reg:u64=$((chunk + 0x8000000)),0x2000000 } }
fails "pool memory-remove with instances in it" overlay /resources memory-remove{ memory@0{ reg:u64=$chunk,0x10000000 } }
fails "pool cpu-remove of a lent one" overlay /resources cpu-remove{ cpu@0{ reg:u64=2 } }

echo "# --- rollback"
create gone 16M - >/dev/null
last=$(newest)
ok "rmdir undoes a create" rmdir $fs/overlays/tx_$last
ok "transaction and instance are gone" test ! -e $fs/overlays/tx_$last -a ! -e $fs/instances/gone
applies "numbers go on" create again 16M -
says "^$((last + 1))$" "the next one" newest
applies "cpu-remove" overlay /instances/left cpu-remove{ cpu@0{ reg:u64=2 } }
ok "rmdir gives it back" rmdir $fs/overlays/tx_$(newest)
says '^/resources/cpus 0x000000002$' "it has it again" mkt tree $fs/instances/left/device_tree
fails "a transaction that fails" overlay /instances/left cpu-remove{ cpu@0{ reg:u64=3 } }
says 'rmdir' "whose inverse fails as well" rmdir $fs/overlays/tx_$(newest)
says '^failed$' "stays" newest_status
remove again >/dev/null
ok "rmdir of a remove undoes nothing" rmdir $fs/overlays/tx_$(newest)
ok "it is not there" test ! -e $fs/instances/again

echo "# --- loading"
says 'EINVAL' "id 0" mkt file 0 /tmp/flat - x
says 'ENOENT' "unknown id" mkt file 5 /tmp/flat - x
says 'ENOENT' "unload without an image" mkt fileunload 1
says 'EINVAL' "unknown flag" mkt file 1 /tmp/flat - x 0x10000
says 'EINVAL' "command line without its end" mkt endless 1 /tmp/flat
says 'EPERM' "without the capability" mkt unprivileged file 1 /tmp/flat - x
says 'ENOMEM' "too large" mkt file 1 /vmlinux - x
says 'ENOEXEC' "a damaged vmlinux" sh -c "head -c 100000 /vmlinux >/tmp/cut; mkt file 1 /tmp/cut - x"
says 'ENOEXEC' "a damaged bzImage" sh -c "head -c 100000 /vmlinuz >/tmp/cut; mkt file 1 /tmp/cut - x"
says '^ready$' "it is still ready" cat $fs/instances/left/status
says 'EINVAL' "exec without an image" mkt exec 1
says 'EINVAL' "exec of nobody" mkt exec 77
says 'EFAULT' "exec by a bad pointer" mkt exec -1
says 'ENOENT' "halt of nobody" mkt halt 77
says '^ok$' "an instance without CPUs loads" sh -c ". /lib.sh; . /kernfs.sh; create none 16M - >/dev/null; mkt file \$(cat $fs/instances/none/id) /tmp/flat - x"
says 'EINVAL' "and has nothing to boot on" mkt exec $(cat $fs/instances/none/id)
fails "remove of a loaded one" remove none
mkt fileunload $(cat $fs/instances/none/id) >/dev/null

echo "# --- a payload that is no Linux"
says '^ok$' "flat file loads" mkt file 1 /tmp/flat - "hello world"
says '^ok$' "exec" mkt exec 1
ok "it beats" mkt await $base 5
fails "its CPU while it runs" overlay /instances/left cpu-remove{ cpu@0{ reg:u64=2 } }
fails "remove while it runs" remove left
says '^ok$' "halt" mkt halt 1
says '^loaded$' "loaded" cat $fs/instances/left/status
says '^ok$' "exec again" mkt exec 1
ok "it beats" moves $base
mkt text $base bye
ok "one that halts by itself is loaded" until_ok 5 grep -q loaded $fs/instances/left/status
says '^ok$' "exec again" mkt exec 1
says '^ok$' "unload while it is active is let through" mkt fileunload 1
says '^ready$' "and it is called ready" cat $fs/instances/left/status
ok "while it goes on" moves $base
applies "remove stops it" remove left
echo "# --- both ABIs at once"
ok "memory blocks go offline" take_blocks 1
says '^ok$' "the RFC's pool" write pool "add $(hex $pool) $(hex $pool_size)"
says 'EEXIST' "a chunk of the other is refused there" sh -c "echo 'add $chunk 0x200000' >$control/pool 2>&1 || echo EEXIST"
offline 1
says '^ok$' "RFC payload loads" mkt flat $(hex $pool)
says 'EADDRNOTAVAIL' "and not into the other's memory" mkt flat $chunk
says '^ok$' "RFC boots CPU 1, which is no instance's id now" mkt select "entry=$(entry_of $(hex $pool)) cpus=1 memory=$(hex $pool)+0x200000" 1
create beside 16M 2 >/dev/null
id=$(cat $fs/instances/beside/id)
mkt file $id /tmp/flat - x >/dev/null
says '^ok$' "kernfs boots by id" mkt exec $id
ok "both beat" sh -c ". /lib.sh; moves $(hex $pool) && moves $(base_of beside)"
says 'EBUSY' "RFC does not boot a CPU of the kernfs pool" mkt select "entry=$(entry_of $(hex $pool)) cpus=3 memory=$(hex $pool)+0x200000" 3
ok "host is alive" alive

echo "# --- a channel in an instance's memory"
area=$(hex $(($(base_of beside) + 0x100000)))
says '^ok$' "create, host has end 0" write channels "create talk $area 0 16 64 0 2"
says "^talk $area end=0 slots=16 size=64" "it is listed" cat $control/channels
says 'Invalid argument' "slots that are no power of two" write channels "create bad $area - 15 64 0 2"
says 'Cannot assign|not available' "outside of the pool" write channels "create bad 0x100000 - 16 64 0 2"
mkt halt $id >/dev/null
mkt exec $id >/dev/null
says "16" "a restart leaves the area alone" sh -c "echo 'remove talk' >$control/channels; echo 'add talk $area 0' >$control/channels; grep -o 'slots=16' $control/channels"
mkt force $id >/dev/null
mkt fileunload $id >/dev/null
for name in $(ls $fs/instances); do remove $name >/dev/null; done
says '^$' "no instance is left" ls $fs/instances
fails "pool memory-remove with a channel in it" overlay /resources memory-remove{ memory@0{ reg:u64=$chunk,0x10000000 } }
write kill 1 >/dev/null
mkt unload >/dev/null
online 1
umount $fs
ok "module unloads and gives the pool back by itself" rmmod mkstock
says '^4$' "CPUs are back" grep -c ^processor /proc/cpuinfo
ok "no pool in /proc/iomem" sh -c "! grep -q Multikernel /proc/iomem"
for try in 1 2 3; do
	insmod /mkstock.ko abi=kernfs && mount -t multikernel none $fs && baseline 256M 2,3 >/dev/null && create x 16M 2 >/dev/null &&
		remove x >/dev/null && umount $fs && rmmod mkstock || bad=1
done
says '^4$' "loaded and unloaded three times" grep -c ^processor /proc/cpuinfo
ok "host is alive" alive
plan
