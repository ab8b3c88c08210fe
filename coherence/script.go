package coherence

import (
	_ "embed"

	"github.com/tiercache/tiercache/internal/script"
)

// Each script touches keys of one slot and recognises its own token, because
// the client may send it twice. The contracts stand in the files.
var (
	//go:embed script/append.lua
	appendSource string
	//go:embed script/meet.lua
	meetSource string
	//go:embed script/confirm.lua
	confirmSource string
	//go:embed script/beat.lua
	beatSource string
	//go:embed script/attest.lua
	attestSource string
	//go:embed script/expel.lua
	expelSource string
	//go:embed script/recover.lua
	recoverSource string

	appendScript  = script.New(appendSource, true)
	meetScript    = script.New(meetSource, true)
	confirmScript = script.New(confirmSource, false)
	beatScript    = script.New(beatSource, true)
	attestScript  = script.New(attestSource, true)
	expelScript   = script.New(expelSource, true)
	recoverScript = script.New(recoverSource, true)
)
