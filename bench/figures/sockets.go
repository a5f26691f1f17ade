package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// queued returns the bytes that wait in socket buffers on their way to the
// given ports of this machine, from /proc/net/tcp: received and not yet read
// there, or sent and not yet received.
func queued(ports ...int) (int64, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0, fmt.Errorf("read the socket buffers: %w", err)
	}
	suffixes := map[string]bool{}
	for _, port := range ports {
		suffixes[fmt.Sprintf("%04X", port)] = true
	}
	const listening = "0A"
	var total int64
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line) // sl, local, remote, state, tx:rx, …
		if len(fields) < 5 || fields[3] == listening {
			continue
		}
		sending, receiving, _ := strings.Cut(fields[4], ":")
		if suffixes[portOf(fields[1])] {
			total += parseHex(receiving)
		}
		if suffixes[portOf(fields[2])] {
			total += parseHex(sending)
		}
	}
	return total, nil
}

func portOf(address string) string {
	_, port, _ := strings.Cut(address, ":")
	return port
}

// parseHex reads a queue; the header's words are none.
func parseHex(s string) int64 {
	n, err := strconv.ParseInt(s, 16, 64)
	if err != nil {
		return 0
	}
	return n
}
