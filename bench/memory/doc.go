// Package memory measures what it costs to take and give back one 64 KiB
// chunk under the rules of Streamflow's memory manager, beside what its peers
// ask for as much of the same work as they do. See the README of bench.
package memory
