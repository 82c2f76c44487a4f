#!/bin/sh
# Makes the golden archives by a second means: GNU tar, zstd and age, and none
# of tarn's code. Run in this folder; the results are committed.
#
# foreign.tar.zst       small frames, no seek table, one zstd frame per 4 KiB of tar
# foreign.tar.zst.age   the same, encrypted to identity.txt
# identity.txt          belongs to these tests and to nothing else
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src/Pictures/2010"
cd "$work/src"
printf 'hello, tarn\n' >Pictures/2010/a.txt
: >Pictures/empty
seq 1 2000 >Pictures/2010/numbers
printf x >"$(printf 'Pictures/caf\303\251 \377 new\nline')"
printf y >"Pictures/$(printf 'n%.0s' $(seq 1 200))"
ln Pictures/2010/a.txt Pictures/hard
ln -s 2010/a.txt Pictures/soft
mkfifo Pictures/fifo
chmod 4755 Pictures/empty
find . -exec touch -h -d '@1350244992.023960108' {} +
touch -h -d '@-5.5' Pictures/empty
touch -d '@99999999999' Pictures/2010
cd - >/dev/null
tar --create --format=pax --pax-option=delete=atime,delete=ctime --sort=name --owner=ann:1000 --group=people:2000 \
	--directory="$work/src" --file="$work/all.tar" Pictures
split -b 4096 "$work/all.tar" "$work/part."
for part in "$work"/part.*; do zstd -q --check -19 -c "$part"; done >foreign.tar.zst
[ -f identity.txt ] || age-keygen -o identity.txt
age -r "$(age-keygen -y identity.txt)" -o foreign.tar.zst.age foreign.tar.zst
