#!/bin/sh
# Runs the program in $PROGRAM with what its user may read: root alone may read
# everything, and gives that up here.
if [ "$(id -u)" = 0 ]; then
	set -- --bounding-set=-dac_override,-dac_read_search "$PROGRAM" "$@"
	exec setpriv "$@"
fi
exec "$PROGRAM" "$@"
