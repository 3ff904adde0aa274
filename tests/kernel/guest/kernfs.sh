# Copyright (c) 2026 multikernel.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=dash disable=SC1007,SC1083,SC2012,SC2016,SC2034,SC2045,SC2046,SC2086,SC2154  # sourced after lib.sh; words are split on purpose; braces are words of mkt's trees
# Sourced by the suites of the kernfs ABI, after lib.sh.
fs=/sys/fs/multikernel
words="console=ttyS1,115200 earlycon=uart8250,io,0x2f8,115200 quiet"

free_kib() { awk '/^MemFree/ { print $2 }' /proc/meminfo; }

# 512M as bytes
size_of() {
	case $1 in
	*G) echo $((${1%G} << 30)) ;;
	*M) echo $((${1%M} << 20)) ;;
	*) echo $(($1)) ;;
	esac
}

# baseline SIZE CPUS [NODE]: prints ok or an errno
baseline() {
	mkt fdt resources{ cpus:u64=$2 memory@0{ size:u64=$(size_of $1) ${3:+numa-node-id:u32=$3} } } | mkt put $fs/device_tree
}

# overlay TARGET WORDS...: one fragment; the text is what tx_N/resources shows
overlay() {
	local target=$1
	shift
	mkt fdt "mk,resources:str=${note:-test}" fragment@0{ target-path:str=$target __overlay__{ "$@" } } | mkt put $fs/overlays/new
}

# create NAME SIZE|- CPUS|- [ID]
create() {
	local note="test $1" size= cpus=
	[ $2 = - ] || size="memory-bytes:u64=$(size_of $2)"
	[ $3 = - ] || cpus="cpus:u64=$3"
	overlay /instances instance-create{ instance-name:str=$1 ${4:+id:u32=$4} resources{ $size $cpus } }
}

remove() { overlay /instances instance-remove{ instance-name:str=$1 }; }

newest() { ls $fs/overlays | sed -n 's/^tx_//p' | sort -n | tail -1; }
newest_status() { cat $fs/overlays/tx_$(newest)/status; }

base_of() { hex $(mkt tree $fs/instances/$1/device_tree | sed -n 's,^/resources/memory-base ,,p'); }
chunks() { mkt tree $fs/device_tree | sed -n 's,^/resources/memory@[0-9a-f]*/reg \(0x[0-9a-f]*\) \(0x[0-9a-f]*\)$,\1 \2,p'; }

# pool_empty CPUS: CPUs and then all chunks leave the pool
pool_empty() {
	local items= n=0 item
	for item in $(echo $1 | tr , ' '); do items="$items cpu@$n{ reg:u64=$item }" n=$((n + 1)); done
	overlay /resources cpu-remove{ $items } >/dev/null
	items=
	for item in $(chunks | tr ' ' ,); do items="$items memory@$n{ reg:u64=$item }" n=$((n + 1)); done
	overlay /resources memory-remove{ $items }
}
