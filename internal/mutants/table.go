package main

// packages have gated tests.
var packages = []string{"coherence", "tiered"}

// A mutation says which gated test, of which package, kills a mutant.
type mutation struct {
	name      string // of the switch, in lower case
	invariant string // of the protocol; "" where the guard serves none of the numbered ones
	pkg, test string
}

var table = []mutation{
	// The hit.
	{"nolease", "I3", "tiered", "^TestGatedI3LeaseRunsOut$"},
	{"nogen", "I2", "tiered", "^TestGatedI2GenerationMoves$"},
	{"leaselate", "I3", "tiered", "^TestGatedI3LeaseBeforeGeneration$"},
	{"keyblind", "", "tiered", "^TestGatedHashCollision$"},

	// What is kept.
	{"lategen", "I2", "tiered", "^TestGatedI2GenerationBeforeRead$"},
	{"weak", "I3", "tiered", "^TestGatedI3WeakCopyDies$"},
	{"cachefenced", "I6", "tiered", "^TestGatedI6FencedIsNotKept$"},
	{"outlive", "I17", "tiered", "^TestGatedI17CopyEndsWithRecord$"},
	{"negativestale", "", "tiered", "^TestGatedNegativeIsNeverStale$"},

	// Reading Redis.
	{"nobreaker", "", "tiered", "^TestGatedBreakerCostsNothing$"},
	{"nopending", "I14", "tiered", "^TestGatedI14UnconfirmedIsBypassed$"},
	{"epochignored", "I11", "tiered", "^TestGatedI11OldEpochIsVoid$"},
	{"epochahead", "I11", "tiered", "^TestGatedI11NewerEpochIsLeftAlone$"},
	{"hardignored", "I17", "tiered", "^TestGatedI17HardExpiryOfRecord$"},
	{"firstbyte", "", "tiered", "^TestGatedHostileRecords$"},
	{"stampany", "I1", "tiered", "^TestGatedI1DecodedOnlyByItsStamp$"},
	{"queueblind", "", "tiered", "^TestGatedQueueEndsWithTheLease$"},
	{"latecall", "", "tiered", "^TestGatedAbandonedCallIsNotSent$"},
	{"takeanyway", "I14", "tiered", "^TestGatedI14UnconfirmedIsNotAskedFor$"},
	{"lonelate", "", "tiered", "^TestGatedDeadlineOfALoneRead$"},

	// Loading.
	{"norenew", "I12", "tiered", "^TestGatedI12LeaseIsRenewed$"},
	{"nowaitmax", "I12", "tiered", "^TestGatedI12WaitEnds$"},
	{"refreshherd", "I12", "tiered", "^TestGatedI12OneRefresh$"},
	{"alonefirst", "I12", "tiered", "^TestGatedI12BatchFillsBeforeItWaits$"},

	// Flights.
	{"joingen", "I2", "tiered", "^TestGatedI2NoJoinAcrossGenerations$"},
	{"joinsealed", "I1", "tiered", "^TestGatedI1NoJoinUnderFence$"},
	{"joinweak", "I1", "tiered", "^TestGatedI1NoJoinOfOldWeakLoad$"},
	{"joinold", "I1", "tiered", "^TestGatedI1NoJoinAdrift$"},
	{"leadercancels", "I12", "tiered", "^TestGatedI12WaitersObeyTheirContexts$"},
	{"waitdeaf", "I12", "tiered", "^TestGatedI12WaitersObeyTheirContexts$"},
	{"noabandon", "", "tiered", "^TestGatedAbandonedLoadIsCancelled$"},

	// Scripts.
	{"nolease2", "I5", "tiered", "^TestGatedI5UpdateDuringLoad$"},
	{"nogrant", "I5", "tiered", "^TestGatedI5LateCopyOfAcquire$"},
	{"replaceblind", "I5", "tiered", "^TestGatedI5UpdateDuringRefresh$"},
	{"unfencedirty", "I6", "tiered", "^TestGatedI6OverlappingUpdates$"},
	{"fenceclean", "I6", "tiered", "^TestGatedI6OverlappingUpdates$"},
	{"othersclean", "I6", "tiered", "^TestGatedI6OverlappingUpdates$"},
	{"invalclean", "I6", "tiered", "^TestGatedI6InvalidateUnderFence$"},
	{"invalfences", "I6", "tiered", "^TestGatedI6InvalidateUnderFence$"},
	{"acquiretwice", "I13", "tiered", "^TestGatedI13EveryCommandTwice$"},
	{"committwice", "I13", "tiered", "^TestGatedI13EveryCommandTwice$"},
	{"replacetwice", "I13", "tiered", "^TestGatedI13EveryCommandTwice$"},
	{"fencetwice", "I13", "tiered", "^TestGatedI13EveryCommandTwice$"},
	{"unfencetwice", "I13", "tiered", "^TestGatedI13EveryCommandTwice$"},
	{"appendtwice", "I13", "tiered", "^TestGatedI13EveryCommandTwice$"},

	// Writing.
	{"writeunfenced", "I8", "tiered", "^TestGatedI8FailClosed$"},
	{"nodeadline", "I8", "tiered", "^TestGatedI8WriterEndsBeforeFence$"},
	{"withdrawdoubt", "I9", "tiered", "^TestGatedI9WriteInDoubt$"},
	{"nobump", "I14", "tiered", "^TestGatedI14OwnWriteAfterWeakCopy$"},
	{"noreannounce", "I7", "tiered", "^TestGatedI7FenceLost$"},
	{"noreceipt", "I7", "tiered", "^TestGatedI7AnnouncementLost$"},

	// Announcing.
	{"noerase", "I7", "tiered", "^TestGatedStaleEndsWithInvalidation$"},
	{"announcefirst", "I7", "tiered", "^TestGatedI7ErasedBeforeAnnounced$"},
	{"appendfirst", "I7", "tiered", "^TestGatedI7FencedBeforeAnnounced$"},
	{"stalenonce", "I7", "tiered", "^TestGatedI7ForgottenFence$"},
	{"fenceunheeded", "I8", "coherence", "^TestGatedI8OneFenceOfABatchFails$"},
	{"sharedstamp", "", "coherence", "^TestGatedWritesShareAnEntry$"},
	{"panicforgets", "", "coherence", "^TestGatedPanicIsOwed$"},
	{"panicends", "", "coherence", "^TestGatedPanicIsOwed$"},
	{"stayqueued", "", "coherence", "^TestGatedAbandonedFenceIsNotRaised$"},
	{"nosettle", "", "tiered", "^TestGatedBreakerCostsNothing$"},
	{"bumpfirst", "I14", "coherence", "^TestGatedI14JournalBeforeBump$"},
	{"nooverflow", "", "coherence", "^TestGatedOverflowVoidsEverything$"},

	// Following the bus.
	{"replylease", "I4", "coherence", "^TestGatedI4LeaseCountsFromSending$"},
	{"gapignored", "I10", "coherence", "^TestGatedI10Gaps$/^1$"},
	{"nolost", "I10", "coherence", "^TestGatedI10Gaps$/^1025$"},
	{"norollback", "I10", "coherence", "^TestGatedI10Rollback$"},
	{"nochain", "I10", "coherence", "^TestGatedI10ForkWithEqualNumber$"},
	{"nolink", "I10", "coherence", "^TestGatedI10ForeignMessage$"},
	{"applylate", "I10", "coherence", "^TestGatedI10ApplyBeforeAdvance$"},
	{"novoid", "I11", "coherence", "^TestGatedI11NewEpochVoidsCopies$"},
	{"flushfirst", "I11", "coherence", "^TestGatedI11AdoptBeforeFlush$"},
	{"epochback", "I11", "coherence", "^TestGatedI11EpochNeverFalls$"},
	{"nosuspect", "I11", "tiered", "^TestGatedI11FirstReplyOfUnknownProcess$"},
	{"nounknown", "I11", "tiered", "^TestGatedI11UnknownProcessIsNotAsked$"},
	{"norole", "", "coherence", "^TestGatedReplicaIsRefused$"},
	{"busypass", "I11", "coherence", "^TestGatedI11BusyProcessIsNotBelieved$"},
	{"deaf", "", "coherence", "^TestGatedDeafSubscriptionIsRenewed$"},
	{"suspended", "", "coherence", "^TestGatedSuspensionDropsLease$"},
	{"stampblind", "I3", "coherence", "^TestGatedI3StampTakenAdrift$"},
	{"announceacross", "I7", "coherence", "^TestGatedI7AnnouncementAcrossProcesses$"},
	{"restless", "", "coherence", "^TestGatedRefusalIsNotHurried$"},
	{"clocklate", "I17", "coherence", "^TestGatedI17RedisClockIsBounded$"},

	// Acknowledged announcements.
	{"noack", "I16", "coherence", "^TestGatedI16SilentNodeIsWaitedFor$"},
	{"nooutwait", "I16", "coherence", "^TestGatedI16SilentNodeIsWaitedFor$"},
	{"ackfirst", "I16", "coherence", "^TestGatedI16ApplyBeforeConfirming$"},
	{"attestlate", "I16", "coherence", "^TestGatedI16WhoEntersReadsAfterwards$"},
	{"expelblind", "I16", "coherence", "^TestGatedI16WhoReturnsStaysListed$"},
	{"nograce", "I16", "coherence", "^TestGatedI16RegistryLost$/^noticed$"},
	{"unlisted", "I16", "coherence", "^TestGatedI16RegistryLost$/^the_registry_alone$"},
	{"foreignepoch", "I16", "coherence", "^TestGatedI16RegistryLost$/^another_epoch$"},
	{"unseen", "I16", "coherence", "^TestGatedI16WhoIsBlindDoesNotAttest$"},
	{"nolocalfence", "I15", "coherence", "^TestGatedI15FencesAreRemembered$"},
	{"liftany", "I15", "coherence", "^TestGatedI15FencesAreRemembered$"},
	{"latefence", "I15", "coherence", "^TestGatedI15FenceBeforeGeneration$"},
	{"noyoung", "I15", "coherence", "^TestGatedI15WhoMissedFencesIsBarred$"},

	// Strong caches and tokens.
	{"afterwrite", "I16", "tiered", "^TestGatedI16NobodyServesWhenTheSourceIsWritten$"},
	{"nohalf", "I15", "tiered", "^TestGatedI15FencingTakesTooLong$"},
	{"leaseenough", "I3", "tiered", "^TestGatedI3NothingWithoutAssurance$/^refused$"},
	{"strongwindow", "I3", "tiered", "^TestGatedI3NothingWithoutAssurance$/^cut_off$"},
	{"besideblind", "I15", "tiered", "^TestGatedI15OverlappedFenceDeleted$"},
	{"takeblind", "I15", "tiered", "^TestGatedI15LeaseAfterLostFence$"},
	{"strongweak", "", "tiered", "^TestGatedStrongHerdWithoutRedis$"},
	{"atleastblind", "", "tiered", "^TestGatedTokenIsSeen$"},
	{"atleastweak", "", "tiered", "^TestGatedTokenTakesNoWeakLoad$/^copy$"},
	{"joinlax", "", "tiered", "^TestGatedTokenTakesNoWeakLoad$/^load$"},

	// Keeping values over a failover.
	{"noadmission", "I11", "coherence", "^TestGatedI11NewcomerIsKnownFirst$"},
	{"stranger", "I11", "coherence", "^TestGatedI11StrangerIsRefused$"},
	{"latevouch", "I11", "coherence", "^TestGatedI11LateMemberDoesNotVouch$"},
	{"nofloor", "I11", "coherence", "^TestGatedI11ReturnerDoesNotVouchForItsAbsence$"},
	{"goneforgotten", "I11", "coherence", "^TestGatedI11WhoHasLeftCannotRepeat$"},
	{"forgetful", "I11", "coherence", "^TestGatedI11ForgottenAnnouncementVoids$"},
	{"norepeat", "I11", "coherence", "^TestGatedI11LostAnnouncementIsRepeated$"},
	{"noreports", "I11", "coherence", "^TestGatedI11SilentMemberVoids$"},
	{"noheal", "I1", "coherence", "^TestGatedI1AnnouncementsToADemotedMaster$"},
	{"expelagain", "", "coherence", "^TestGatedStrangerDoesNotHurry$"},

	// Auditing.
	{"auditearly", "", "tiered", "^TestGatedAuditWaitsForTheBound$"},
	{"auditbefore", "", "tiered", "^TestGatedAuditCountsLaterAnnouncements$"},
	{"auditonce", "", "tiered", "^TestGatedAuditLooksTwice$"},
}
