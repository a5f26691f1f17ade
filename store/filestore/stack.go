package filestore

// onNewStack runs fn on a goroutine of its own and waits for it. What opens files or
// changes their names needs a deep stack; one that has grown stays so for as
// long as its goroutine waits deep in a Write, and thousands may. Who calls it
// has a place at the disk: as many goroutines there are at most.
func onNewStack(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	<-done
}
