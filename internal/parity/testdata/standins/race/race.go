// Package race stands in for internal/race of the toolchain.
package race

// Enabled is false.
const Enabled = false
