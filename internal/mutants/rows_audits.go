package main

// audits are the guards of the audit, without which it would report what is not stale.
var audits = []row{
	{"auditearly", "", "a copy is judged before MaxStale has passed",
		"tiered/auditor.go:outlast", `d`, `0`,
		"tiered.TestGatedAuditWaitsForTheBound"},
	{"auditbefore", "", "announcements from before the copy was read count against it",
		"tiered/audit_tails.go:since", `k.sent >= at`, `true`,
		"tiered.TestGatedAuditCountsLaterAnnouncements"},
	{"auditonce", "", "what differed once is taken to differ still",
		"tiered/auditor.go:check",
		`if outcome := compare(ctx, s); outcome != auditDiffers {
			return outcome.again()
		}`,
		``,
		"tiered.TestGatedAuditLooksTwice"},
	{"auditspace", "", "announcements of another space count for the audit",
		"coherence/announced.go:named", `p.space == s.name`, `true`,
		"coherence.TestAnnounced"},
	{"auditkey", "", "announcements of another key count for the audit",
		"coherence/announced.go:named", `slices.Contains(p.keys, key)`, `true`,
		"coherence.TestAnnounced"},
}
