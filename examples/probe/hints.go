package main

import "fmt"

const (
	manyFiles = 65536    // what a server with many connections wants
	muchLock  = 64 << 20 // what registered buffers may need
)

// hints returns what could be done for more or faster rings, the most
// important first.
func (r *Report) hints() []Hint {
	hints := []Hint{} // JSON has an empty list then, not null
	if !r.Ring.Allowed {
		if r.Ring.Remedy != "" {
			hints = append(hints, Hint{r.Ring.Remedy, r.Ring.Cause})
		}
		hints = append(hints, Hint{
			"go on without",
			"Yamanote's net, file and proactor run on the standard library where there is no ring, and the same programs work",
		})
	}
	if d := r.Forbidden.Disabled; r.Ring.Allowed && d != nil && *d == 1 {
		hints = append(hints, Hint{
			"see to it that the program's account has what this one has",
			"the sysctl kernel.io_uring_disabled is 1, so that others may not have a ring",
		})
	}
	if f := r.Limits.OpenFiles; f != nil && f.Soft >= 0 && f.Soft < manyFiles {
		do := "raise the limit of open files (ulimit -n, systemd LimitNOFILE=)"
		if f.Hard < 0 || f.Hard > f.Soft {
			do = fmt.Sprintf("raise the soft limit of open files up to %s (ulimit -n, systemd LimitNOFILE=); Go does so by itself", count(f.Hard))
		}
		hints = append(hints, Hint{do, fmt.Sprintf("it is %d, and each connection takes one", f.Soft)})
	}
	free := r.Forbidden.Lock != nil && *r.Forbidden.Lock // nothing is counted then
	if m := r.Limits.LockedMemory; m != nil && m.Soft >= 0 && m.Soft < muchLock && !free {
		hints = append(hints, Hint{
			"raise the limit of locked memory (ulimit -l, systemd LimitMEMLOCK=, docker --ulimit memlock=-1)",
			fmt.Sprintf("it is %s, and without CAP_IPC_LOCK registered buffers count against it, before Linux 5.12 rings as well", size(m.Soft)),
		})
	}
	return append(hints, r.kernelHints()...)
}

// worthAnUpgrade are features whose absence costs speed.
var worthAnUpgrade = []struct{ name, why string }{
	{"DEFER_TASKRUN", "completions are not bundled, and interrupt the program"},
	{"REGISTER_SEND_MSG_RING", "waking a ring takes an eventfd and a request to poll it"},
	{"SEND_ZC", "what is sent is always copied"},
}

func (r *Report) kernelHints() []Hint {
	if r.Kernel == nil {
		return nil
	}
	var hints []Hint
	for _, worth := range worthAnUpgrade {
		for _, s := range r.Kernel.sections() {
			for _, i := range s.items {
				if i.Name == worth.name && i.Has != nil && !*i.Has {
					hints = append(hints, Hint{"use Linux " + i.Since + " or later", "without " + i.Name + ", " + worth.why})
				}
			}
		}
	}
	return hints
}
