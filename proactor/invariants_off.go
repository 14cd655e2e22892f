//go:build !yamanote_invariants

package proactor

// invariants is explained in the file for the build tag yamanote_invariants.
const invariants = false
