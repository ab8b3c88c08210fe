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
}
