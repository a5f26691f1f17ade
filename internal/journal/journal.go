// Package journal remembers unfinished uploads of files across the death of the
// process.
package journal
