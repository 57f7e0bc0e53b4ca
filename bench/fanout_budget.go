package main

import "strings"

// budget says where a server's work went, per packet delivered, from what it
// counts itself and how often the kernel woke its threads. Figures whose
// counters a server does not have are left out.
func budget(events map[string]float64, woken int64, delivered uint64) map[string]float64 {
	if delivered == 0 {
		return nil
	}
	n := float64(delivered)
	m := map[string]float64{"budget_wakeups_per_packet": float64(woken) / n}
	for name, count := range events {
		switch name {
		case "reads", "writes", "sent": // of which follow the figures below
		default:
			m["budget_"+strings.ReplaceAll(name, " ", "_")+"_per_packet"] = count / n
		}
	}
	reads, writes := events["reads"], events["writes"]
	if reads+writes > 0 {
		m["budget_syscalls_per_packet"] = (reads + writes) / n
	}
	if writes > 0 {
		m["budget_datagrams_per_write"] = events["sent"] / writes
	}
	return m
}
