package policy

// Counted returns the bytes in the ledger, and the uploads open in all.
func (p *Policy) Counted() (bytes int64, open int) {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	for _, n := range p.ledger.open {
		open += n
	}
	return p.ledger.bytes, open
}

// Remembered returns how many clients there are.
func (p *Policy) Remembered() int {
	p.clients.mu.Lock()
	defer p.clients.mu.Unlock()
	return len(p.clients.byKey)
}
