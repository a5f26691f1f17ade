#!/bin/sh
# Makes upload.svg from a real run: a server, an upload of two files in a
# terminal, and what that showed half-way. It takes tmux, and 4 GiB in TMPDIR.
#
#	make image
set -eu

images=$(cd "$(dirname "$0")" && pwd)
root=$images/../..
work=$(mktemp -d)
export TMUX_TMPDIR="$work"
server=
trap 'tmux kill-server 2>/dev/null || :; [ -z "$server" ] || kill "$server" 2>/dev/null || :; rm -rf "$work"' EXIT

(cd "$root" && go build -o "$work/streamflow" ./cmd/streamflow)
(cd "$root/tools" && go build -o "$work/termsvg" ./termsvg)
cd "$work"
head -c 800M /dev/urandom >holiday.mov
head -c 1G /dev/urandom >disk.iso
./streamflow serve --listen 127.0.0.1:8080 --ready-file ready --store data >/dev/null 2>&1 &
server=$!
while [ ! -s ready ]; do sleep 0.1; done

tmux new-session -d -x 92 -y 12 "env PATH=$work:$PATH PS1='\$ ' sh -i"
tmux send-keys "clear; streamflow upload --max-memory 32MiB *.iso *.mov http://127.0.0.1:8080/files/" Enter
until tmux capture-pane -p >half && grep -q 'mov .* [4-8][0-9] % of ' half; do sleep 0.02; done
until tmux capture-pane -p | grep -q '^2 files, '; do sleep 0.1; done
tmux capture-pane -p >whole
{
	echo '$ streamflow upload --max-memory 32MiB *.iso *.mov http://127.0.0.1:8080/files/'
	grep ' of ' half
	echo
	grep '^2 files, ' whole
} | ./termsvg -title 'streamflow upload' >"$images/upload.svg"
