package main

// failovers are the guards of Config.Warm, which keeps values over a failover.
var failovers = []row{
	{"noadmission", "I11", "a node announces before the others know of it",
		"coherence/membership.go:admitted", `n.cfg.Warm == 0`, `true`,
		"coherence.TestGatedI11NewcomerIsKnownFirst"},
	{"stranger", "I11", "APPEND takes the announcement of a node that is no member",
		"coherence/script/append.lua", `  if not live(redis.call('HGET', KEYS[2], 'm:' .. (ARGV[5] or ''))) then`, `  if false then`,
		"coherence.TestGatedI11StrangerIsRefused"},
	{"latevouch", "I11", "a node vouches whose life as a member had ended",
		"coherence/membership.go:lives", `now < m.until`, `true`,
		"coherence.TestGatedI11LateMemberDoesNotVouch"},
	{"nofloor", "I11", "a node vouches for the time before it came",
		"coherence/membership.go:list", `!m.complete`, `false`,
		"coherence.TestGatedI11ReturnerDoesNotVouchForItsAbsence"},
	{"goneforgotten", "I11", "what a node announced that has left is taken for kept",
		"coherence/membership.go:list", `len(m.next) < len(m.known)`, `false`,
		"coherence.TestGatedI11WhoHasLeftCannotRepeat"},
	{"forgetful", "I11", "a node makes only those announcements again that it remembers",
		"coherence/recovery.go:open", `!n.memory.covers(r.ancestor)`, `false`,
		"coherence.TestGatedI11ForgottenAnnouncementVoids"},
	{"norepeat", "I11", "announcements that were lost are not made again",
		"coherence/recovery.go:open",
		`if err := n.repeat(ctx, run); err != nil {
			return err
		}`,
		``,
		"coherence.TestGatedI11LostAnnouncementIsRepeated"},
	{"noreports", "I11", "a node does not wait for the others to report",
		"coherence/recovery.go:keep", `!kept`, `false`,
		"coherence.TestGatedI11SilentMemberVoids"},
	{"noheal", "I1", "announcements made to a demoted master are not made again",
		"coherence/recovery.go:repeatLater", `n.cfg.JournalSize / 2`, `0`,
		"coherence.TestGatedI1AnnouncementsToADemotedMaster"},
	{"expelagain", "", "a node that is no member probes at once whenever it is told so",
		"coherence/membership.go:expel", `n.members.mandate.Swap(nil) != nil`, `n.members.mandate.Swap(nil) != nil || true`,
		"coherence.TestGatedStrangerDoesNotHurry"},
}
