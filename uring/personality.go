package uring

// Personality is a set of credentials that a ring has registered: the user, the
// groups and the capabilities with which a request is carried out, instead of
// those of the thread that submits it. Ring.RegisterPersonality returns it. The
// zero Personality is the submitter.
type Personality uint16

// SetPersonality has the request carried out with registered credentials. It
// comes after preparing the entry, which clears it. A personality that the ring
// does not have makes the request fail with EINVAL. Linux 5.6.
func (s *SQE) SetPersonality(p Personality) { s.Personality = uint16(p) }
