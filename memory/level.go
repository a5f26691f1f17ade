package memory

// A Level says how much of its limit a manager uses.
type Level int

// Levels, entered where Options.Thresholds say.
const (
	Normal Level = iota
	Warning
	Critical
)

// hysteresis is how far, as a fraction of the limit, use must fall below the
// mark where a level was entered before the level is left.
const hysteresis = 0.05

func (l Level) String() string {
	switch l {
	case Normal:
		return "normal"
	case Warning:
		return "warning"
	case Critical:
		return "critical"
	}
	return "unknown"
}

// Level returns the highest level of m and the managers above it.
func (m *Manager) Level() Level {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	level := Normal
	for ; m != nil; m = m.parent {
		level = max(level, m.level)
	}
	return level
}

// observe enters and leaves the levels of m and its ancestors. It has to be
// called after every change of what they use.
func (t *tree) observe(m *Manager) {
	for ; m != nil; m = m.parent {
		if m.nextLevel() > m.level {
			t.recallCaches()
		}
		t.assess(m)
	}
}

// assess brings the level of m in line with its use, one step at a time, so
// that a warning comes before each critical.
func (t *tree) assess(m *Manager) {
	for next := m.nextLevel(); next != m.level; next = m.nextLevel() {
		if next > m.level {
			t.enter(m, m.level+1)
		} else {
			t.enter(m, m.level-1)
		}
	}
}

func (t *tree) enter(m *Manager, level Level) {
	from := m.level
	m.level = level
	m.entered[level]++
	if from == Normal {
		t.pressed++
	}
	if level == Normal {
		t.pressed--
	}
	t.detour(detourPressed, t.pressed > 0)
	usage, _ := m.usage()
	m.publish(LevelChange{
		Manager: m.name, From: from, To: level,
		Usage: usage, Threshold: t.mark(max(from, level)),
		Used: m.busy(), Limit: m.limit,
		Count: m.entered[level], Time: t.clock.time(),
	})
	if level > from {
		t.janitor.wake(errandPress)
	}
}

// nextLevel is the level that m's use calls for, given the one it is at.
func (m *Manager) nextLevel() Level {
	usage, ok := m.usage()
	if !ok {
		return Normal
	}
	for level := Critical; level > Normal; level-- {
		mark := m.tree.mark(level)
		if m.level >= level {
			mark -= hysteresis
		}
		if usage >= mark {
			return level
		}
	}
	return Normal
}

// calmWith reports whether m and its ancestors would stay below Warning with n more
// bytes, by as much as it takes to come back from there.
func (m *Manager) calmWith(n int64) bool {
	mark := m.tree.mark(Warning) - hysteresis
	for ; m != nil; m = m.parent {
		if m.level > Normal || m.limit != noLimit && float64(m.busy()+n) >= mark*float64(m.limit) {
			return false
		}
		n = m.claimWith(n) - m.claim()
	}
	return true
}

// usage is what is busy as a fraction of the limit. It is false where there is
// no limit.
func (m *Manager) usage() (float64, bool) {
	if m.limit == noLimit || m.closed {
		return 0, false
	}
	return float64(m.busy()) / float64(m.limit), true
}

// busy is what m uses, less what is idle.
func (m *Manager) busy() int64 {
	if m.parent == nil {
		return m.used - m.tree.idle.bytes
	}
	return m.used
}

// mark is the fraction of the limit where a level begins.
func (t *tree) mark(level Level) float64 {
	switch level {
	case Warning:
		return t.opts.Thresholds.Warning
	case Critical:
		return t.opts.Thresholds.Critical
	}
	return 0
}
