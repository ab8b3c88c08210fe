package script_test

import "slices"

// A model is what the record of a key should be while nothing expires. Its methods
// return the replies that the scripts should give.
type model struct {
	kind    byte   // 0, 'V', 'L' or 'F'
	value   string // of 'V': the record
	lease   string // of 'L': token and grant
	inboxes []string
	fences  []fenced
}

type fenced struct {
	dirty bool
	id    string
}

func (m *model) record() string {
	switch m.kind {
	case 'V':
		return m.value
	case 'L':
		record := "L" + m.lease
		for _, inbox := range m.inboxes {
			record += inbox
		}
		return record
	case 'F':
		record := "F"
		for _, f := range m.fences {
			flag := "c"
			if f.dirty {
				flag = "d"
			}
			record += flag + f.id
		}
		return record
	}
	return ""
}

func (m *model) stores(record string)  { *m = model{kind: 'V', value: record} }
func (m *model) stamped(s string) bool { return m.kind == 'V' && m.value[1:17] == s }

// drop empties the key and returns the inboxes to wake.
func (m *model) drop() []string {
	woken := m.inboxes
	*m = model{}
	return woken
}

func (m *model) commit(id, record string) (reply int64, woken []string) {
	mine := m.kind == 'L' && m.lease[:min(len(id), len(m.lease))] == id
	switch {
	case record != "" && m.stamped(id[:16]):
		return 1, nil
	case !mine:
		return 0, nil
	}
	woken = m.drop()
	if record != "" {
		m.stores(record)
	}
	return 1, woken
}

// fence adds the fence id unless tok has one, and returns its id and the number of others.
func (m *model) fence(tok, id string) (own string, others int64, woken []string) {
	dirty := false
	var live []fenced
	for _, f := range m.fences {
		if f.id[:16] == tok {
			id, dirty = f.id, f.dirty
		} else {
			live = append(live, fenced{true, f.id})
		}
	}
	woken = m.drop()
	m.kind, m.fences = 'F', append(live, fenced{dirty || len(live) > 0, id})
	return id, int64(len(live)), woken
}

func (m *model) unfence(id, record string) int64 {
	if record != "" && m.stamped(id[:16]) {
		return 1
	}
	i := slices.IndexFunc(m.fences, func(f fenced) bool { return f.id == id })
	if i < 0 {
		return -1
	}
	clean := !m.fences[i].dirty
	m.fences = slices.Delete(m.fences, i, i+1)
	switch {
	case len(m.fences) > 0:
		return int64(len(m.fences)) + 1
	case clean && record != "":
		m.stores(record)
		return 1
	}
	m.drop()
	return 0
}

func (m *model) inval() (reply int64, woken []string) {
	switch m.kind {
	case 'F':
		for i := range m.fences {
			m.fences[i].dirty = true
		}
		return 2, nil
	case 0:
		return 0, nil
	}
	return 1, m.drop()
}
