package driver

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A slot that is used again has another generation, and user data of before
// finds nothing.
func TestTable(t *testing.T) {
	var tab table
	a, b := new(Op), new(Op)
	tab.add(a)
	tab.add(b)
	before := a.ud
	require.Same(t, a, tab.get(before))
	require.Same(t, b, tab.get(asKind(b.ud, kindCancel)), "the kind does not matter")
	tab.remove(a)
	require.Nil(t, tab.get(before))
	tab.add(a)
	require.NotEqual(t, before, a.ud)
	require.Equal(t, before&slotMask, a.ud&slotMask, "the slot is used again")
	require.Nil(t, tab.get(before))
	require.Nil(t, tab.get(userData(kindOp, 1<<20, 0)), "beyond the table")
	n := 0
	tab.each(func(op *Op) {
		n++
		tab.remove(op)
	})
	require.Equal(t, 2, n)
}

// BenchmarkTable is what finding the operation of a completion costs, with as
// many in the table.
func BenchmarkTable(b *testing.B) {
	for name, n := range map[string]int{"1": 1, "10000": 10_000} {
		b.Run(name, func(b *testing.B) {
			var tab table
			ops := make([]Op, n)
			for i := range ops {
				tab.add(&ops[i])
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				op := tab.get(ops[i].ud)
				tab.remove(op)
				tab.add(op)
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}

// BenchmarkQueue is what handing an operation over to who drives costs.
func BenchmarkQueue(b *testing.B) {
	s := opStack{link: submitLink}
	op := new(Op)
	got := func(*Op) {}
	b.ReportAllocs()
	for b.Loop() {
		s.push(op)
		s.take(got)
	}
}
