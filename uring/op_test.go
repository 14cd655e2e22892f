package uring

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every operation has a complete row at its own place.
func TestOpTableIsComplete(t *testing.T) {
	require.NoError(t, checkOps())
	assert.Len(t, slices.Collect(Ops()), int(IORING_OP_LAST))
}

// A row that leaves out any column is found.
func TestOpTableCheckFindsGaps(t *testing.T) {
	whole, ok := IORING_OP_RECV.Info()
	require.True(t, ok)
	require.NoError(t, whole.check())
	for column, leaveOut := range map[string]func(*OpInfo){
		"Name":      func(i *OpInfo) { i.Name = "" },
		"Since":     func(i *OpInfo) { i.Since = Version{} },
		"Result":    func(i *OpInfo) { i.Result = 0 },
		"Cancel":    func(i *OpInfo) { i.Cancel = 0 },
		"Completes": func(i *OpInfo) { i.Completes = 0 },
		"Wait":      func(i *OpInfo) { i.Wait = 0 },
		"Memory":    func(i *OpInfo) { i.Memory = 0 },
		"direction": func(i *OpInfo) { i.Memory = MemBuffer },
		"both":      func(i *OpInfo) { i.Memory |= MemNone },
	} {
		row := whole
		leaveOut(&row)
		assert.Error(t, row.check(), column)
	}
}

func TestOpNames(t *testing.T) {
	assert.Equal(t, "RECV", IORING_OP_RECV.String())
	assert.Equal(t, "NOP", IORING_OP_NOP.String())
	assert.Equal(t, "OP(200)", Op(200).String())
	_, ok := IORING_OP_LAST.Info()
	assert.False(t, ok)
	seen := map[string]bool{}
	for info := range Ops() {
		assert.False(t, seen[info.Name], "%s occurs twice", info.Name)
		seen[info.Name] = true
		for _, word := range []string{
			info.Result.String(), info.Cancel.String(), info.Completes.String(),
			info.Wait.String(), info.Memory.String(), info.Since.String(),
		} {
			assert.NotRegexp(t, `^$|\(|0x`, word, info.Name)
		}
	}
}

// Iterating may stop early.
func TestOpsStops(t *testing.T) {
	n := 0
	for range Ops() {
		if n++; n == 3 {
			break
		}
	}
	assert.Equal(t, 3, n)
}

func TestVersion(t *testing.T) {
	assert.Equal(t, "6.18", Version{6, 18}.String())
	assert.True(t, Version{6, 18}.AtLeast(Version{6, 2}))
	assert.True(t, Version{7, 0}.AtLeast(Version{6, 18}))
	assert.False(t, Version{5, 19}.AtLeast(Version{6, 0}))
	assert.True(t, Version{6, 0}.AtLeast(Version{6, 0}))
}
