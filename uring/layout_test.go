package uring

import (
	"encoding/binary"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// layouts gives the size of every structure and, in order, name@offset/size of
// every field. The numbers are those of the kernel on 64-bit machines; they
// hold on 32-bit ones as well, except where real pointers are involved.
var layouts = []struct {
	of     any
	size   uintptr
	fields string
}{
	{SQE{}, 64, "Opcode@0/1 Flags@1/1 Ioprio@2/2 Fd@4/4 Off@8/8 Addr@16/8 Len@24/4 OpFlags@28/4 UserData@32/8 " +
		"BufIndex@40/2 Personality@42/2 SpliceFdIn@44/4 Addr3@48/8 Pad2@56/8"},
	{SQE128{}, 128, "SQE@0/64 Extra@64/64"},
	{CQE{}, 16, "UserData@0/8 Res@8/4 Flags@12/4"},
	{CQE32{}, 32, "CQE@0/16 Extra@16/16"},
	{AttrPI{}, 32, "Flags@0/2 AppTag@2/2 Len@4/4 Addr@8/8 Seed@16/8 Rsvd@24/8"},
	{SQRingOffsets{}, 40, "Head@0/4 Tail@4/4 RingMask@8/4 RingEntries@12/4 Flags@16/4 Dropped@20/4 Array@24/4 " +
		"Resv1@28/4 UserAddr@32/8"},
	{CQRingOffsets{}, 40, "Head@0/4 Tail@4/4 RingMask@8/4 RingEntries@12/4 Overflow@16/4 Cqes@20/4 Flags@24/4 " +
		"Resv1@28/4 UserAddr@32/8"},
	{Params{}, 120, "SqEntries@0/4 CqEntries@4/4 Flags@8/4 SqThreadCPU@12/4 SqThreadIdle@16/4 Features@20/4 " +
		"WqFd@24/4 Resv@28/12 SqOff@40/40 CqOff@80/40"},
	{FilesUpdate{}, 16, "Offset@0/4 Resv@4/4 Fds@8/8"},
	{RegionDesc{}, 64, "UserAddr@0/8 Size@8/8 Flags@16/4 ID@20/4 MmapOffset@24/8 Resv@32/32"},
	{MemRegionReg{}, 32, "RegionPtr@0/8 Flags@8/8 Resv@16/16"},
	{RsrcRegister{}, 32, "Nr@0/4 Flags@4/4 Resv2@8/8 Data@16/8 Tags@24/8"},
	{RsrcUpdate{}, 16, "Offset@0/4 Resv@4/4 Data@8/8"},
	{RsrcUpdate2{}, 32, "Offset@0/4 Resv@4/4 Data@8/8 Tags@16/8 Nr@24/4 Resv2@28/4"},
	{ProbeOp{}, 8, "Op@0/1 Resv@1/1 Flags@2/2 Resv2@4/4"},
	{ProbeHeader{}, 16, "LastOp@0/1 OpsLen@1/1 Resv@2/2 Resv2@4/12"},
	{Probe{}, 16 + 256*8, "ProbeHeader@0/16 Ops@16/2048"},
	{Restriction{}, 16, "Opcode@0/2 Target@2/1 Resv@3/1 Resv2@4/12"},
	{TaskRestriction{}, 16, "Flags@0/2 NrRes@2/2 Resv@4/12"},
	{ClockRegister{}, 16, "Clockid@0/4 Resv@4/12"},
	{CloneBuffers{}, 32, "SrcFd@0/4 Flags@4/4 SrcOff@8/4 DstOff@12/4 Nr@16/4 Pad@20/12"},
	{Buf{}, 16, "Addr@0/8 Len@8/4 Bid@12/2 Resv@14/2"},
	{BufReg{}, 40, "RingAddr@0/8 RingEntries@8/4 Bgid@12/2 Flags@14/2 MinLeft@16/4 Resv@20/20"},
	{BufStatus{}, 40, "BufGroup@0/4 Head@4/4 Resv@8/32"},
	{NAPI{}, 16, "BusyPollTo@0/4 PreferBusyPoll@4/1 Opcode@5/1 Pad@6/2 OpParam@8/4 Resv@12/4"},
	{RegWait{}, 64, "Ts@0/16 MinWaitUsec@16/4 Flags@20/4 Sigmask@24/8 SigmaskSz@32/4 Pad@36/12 Pad2@48/16"},
	{GetEventsArg{}, 24, "Sigmask@0/8 SigmaskSz@8/4 MinWaitUsec@12/4 Ts@16/8"},
	{SyncCancelReg{}, 64, "Addr@0/8 Fd@8/4 Flags@12/4 Timeout@16/16 Opcode@32/1 Pad@33/7 Pad2@40/24"},
	{FileIndexRange{}, 16, "Off@0/4 Len@4/4 Resv@8/8"},
	{RecvmsgOut{}, 16, "Namelen@0/4 Controllen@4/4 Payloadlen@8/4 Flags@12/4"},
	{Timespec{}, 16, "Sec@0/8 Nsec@8/8"},
	{StatxTime{}, 16, "Sec@0/8 Nsec@8/4 Pad@12/4"},
	{StatxResult{}, 256, "Mask@0/4 Blksize@4/4 Attributes@8/8 Nlink@16/4 UID@20/4 GID@24/4 Mode@28/2 Pad1@30/2 Ino@32/8 " +
		"Size@40/8 Blocks@48/8 AttributesMask@56/8 Atime@64/16 Btime@80/16 Ctime@96/16 Mtime@112/16 " +
		"RdevMajor@128/4 RdevMinor@132/4 DevMajor@136/4 DevMinor@140/4 MntID@144/8 DioMemAlign@152/4 DioOffsetAlign@156/4 " +
		"Rest@160/96"},
	{Siginfo{}, 128, "Signo@0/4 words@4/124"},
	{OpenHow{}, 24, "Flags@0/8 Mode@8/8 Resolve@16/8"},
	{FutexWaitv{}, 24, "Val@0/8 Uaddr@8/8 Flags@16/4 Resv@20/4"},
	{ZCRXRqe{}, 16, "Off@0/8 Len@8/4 Pad@12/4"},
	{ZCRXCqe{}, 16, "Off@0/8 Pad@8/8"},
	{ZCRXOffsets{}, 32, "Head@0/4 Tail@4/4 Rqes@8/4 Resv2@12/4 Resv@16/16"},
	{ZCRXAreaReg{}, 48, "Addr@0/8 Len@8/8 RqAreaToken@16/8 Flags@24/4 DmabufFd@28/4 Resv2@32/16"},
	{ZCRXIfqReg{}, 96, "IfIdx@0/4 IfRxq@4/4 RqEntries@8/4 Flags@12/4 AreaPtr@16/8 RegionPtr@24/8 Offsets@32/32 " +
		"ZcrxID@64/4 RxBufLen@68/4 Resv@72/24"},
	{ZCRXCtrlExport{}, 48, "ZcrxFd@0/4 Resv1@4/44"},
	{ZCRXCtrl{}, 72, "ZcrxID@0/4 Op@4/4 Resv@8/16 Export@24/48"},
	{QueryHdr{}, 40, "NextEntry@0/8 QueryData@8/8 QueryOp@16/4 Size@20/4 Result@24/4 Resv@28/12"},
	{QueryOpcode{}, 48, "NrRequestOpcodes@0/4 NrRegisterOpcodes@4/4 FeatureFlags@8/8 RingSetupFlags@16/8 " +
		"EnterFlags@24/8 SqeFlags@32/8 NrQueryOpcodes@40/4 Pad@44/4"},
	{QueryZcrx{}, 40, "RegisterFlags@0/8 AreaFlags@8/8 NrCtrlOpcodes@16/4 Features@20/4 RqHdrSize@24/4 " +
		"RqHdrAlignment@28/4 Resv@32/8"},
	{QueryScq{}, 16, "HdrSize@0/8 HdrAlignment@8/8"},
	{BPFFilter{}, 64, "Opcode@0/4 Flags@4/4 FilterLen@8/4 PduSize@12/1 Resv@13/3 FilterPtr@16/8 Resv2@24/40"},
	{BPF{}, 72, "CmdType@0/2 CmdFlags@2/2 Resv@4/4 Filter@8/64"},
}

// Every structure that says it is laid out for the kernel has a row.
func TestEveryStructureHasALayout(t *testing.T) {
	has := map[string]bool{"Iovec": true} // TestIovecLayout: it holds a pointer
	for _, l := range layouts {
		has[reflect.TypeOf(l.of).Name()] = true
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if ok && forTheKernel(spec) {
				found++
				assert.True(t, has[spec.Name.Name], "%s has no row in layouts", spec.Name.Name)
			}
			return true
		})
	}
	assert.GreaterOrEqual(t, found, 35, "structures were looked for in the wrong way")
}

// forTheKernel reports whether a type has the marker structs.HostLayout.
func forTheKernel(spec *ast.TypeSpec) bool {
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return false
	}
	for _, field := range s.Fields.List {
		if sel, ok := field.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "HostLayout" {
			return true
		}
	}
	return false
}

func TestLayout(t *testing.T) {
	for _, l := range layouts {
		typ := reflect.TypeOf(l.of)
		assert.Equal(t, l.size, typ.Size(), "size of %s", typ.Name())
		var got []string
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Name == "_" {
				assert.Equal(t, "HostLayout", f.Type.Name(), typ.Name())
				continue
			}
			assert.NotEqual(t, reflect.Pointer, f.Type.Kind(), "%s.%s", typ.Name(), f.Name)
			got = append(got, f.Name+"@"+strconv.Itoa(int(f.Offset))+"/"+strconv.Itoa(int(f.Type.Size())))
		}
		assert.Equal(t, l.fields, strings.Join(got, " "), typ.Name())
	}
}

// An Iovec is a pointer and a size_t, whatever the machine.
func TestIovecLayout(t *testing.T) {
	word := unsafe.Sizeof(uintptr(0))
	assert.Equal(t, 2*word, unsafe.Sizeof(Iovec{}))
	assert.Equal(t, word, unsafe.Offsetof(Iovec{}.Len))

	b := []byte("abc")
	v := Iovec{}
	v.SetBytes(b)
	assert.Equal(t, &b[0], v.Base)
	assert.EqualValues(t, 3, v.Len)
	v.SetBytes(nil)
	assert.Nil(t, v.Base)
	assert.Zero(t, v.Len)
}

// Each setter changes exactly the bytes of its field, and its getter reads them
// back.
func TestSQEUnionMembers(t *testing.T) {
	for _, c := range []struct {
		name    string
		set     func(*SQE)
		off, sz int
		value   uint64
		get     func(*SQE) uint64
	}{
		{"addr2", func(s *SQE) { s.SetAddr2(1) }, 8, 8, 1, func(s *SQE) uint64 { return s.Addr2() }},
		{"cmd_op", func(s *SQE) { s.SetCmdOp(2) }, 8, 4, 2, func(s *SQE) uint64 { return uint64(s.CmdOp()) }},
		{"splice_off_in", func(s *SQE) { s.SetSpliceOffIn(3) }, 16, 8, 3, func(s *SQE) uint64 { return s.SpliceOffIn() }},
		{"level", func(s *SQE) { s.SetLevel(4) }, 16, 4, 4, func(s *SQE) uint64 { return uint64(s.Level()) }},
		{"optname", func(s *SQE) { s.SetOptname(5) }, 20, 4, 5, func(s *SQE) uint64 { return uint64(s.Optname()) }},
		{"buf_group", func(s *SQE) { s.SetBufGroup(6) }, 40, 2, 6, func(s *SQE) uint64 { return uint64(s.BufGroup()) }},
		{"file_index", func(s *SQE) { s.SetFileIndex(7) }, 44, 4, 7, func(s *SQE) uint64 { return uint64(s.FileIndex()) }},
		{"file slot", func(s *SQE) { s.SetFileSlot(7) }, 44, 4, 8, func(s *SQE) uint64 { return uint64(s.FileIndex()) }},
		{"file slot alloc", func(s *SQE) { s.SetFileSlot(IORING_FILE_INDEX_ALLOC) }, 44, 4, 0xffffffff,
			func(s *SQE) uint64 { return uint64(s.FileIndex()) }},
		{"zcrx_ifq_idx", func(s *SQE) { s.SetZcrxIfqIdx(9) }, 44, 4, 9, func(s *SQE) uint64 { return uint64(s.ZcrxIfqIdx()) }},
		{"optlen", func(s *SQE) { s.SetOptlen(10) }, 44, 4, 10, func(s *SQE) uint64 { return uint64(s.Optlen()) }},
		{"addr_len", func(s *SQE) { s.SetAddrLen(11) }, 44, 2, 11, func(s *SQE) uint64 { return uint64(s.AddrLen()) }},
		{"attr_ptr", func(s *SQE) { s.SetAttrPtr(12) }, 48, 8, 12, func(s *SQE) uint64 { return s.AttrPtr() }},
		{"attr_type_mask", func(s *SQE) { s.SetAttrTypeMask(IORING_RW_ATTR_FLAG_PI) }, 56, 8, 1,
			func(s *SQE) uint64 { return uint64(s.AttrTypeMask()) }},
		{"optval", func(s *SQE) { s.SetOptval(13) }, 48, 8, 13, func(s *SQE) uint64 { return s.Optval() }},
		{"poll32_events", func(s *SQE) { s.SetPoll32Events(0x10004) }, 28, 4, uint64(pollWord(0x10004)),
			func(s *SQE) uint64 { return uint64(pollWord(s.Poll32Events())) }},
	} {
		var want raw
		switch c.sz {
		case 2:
			want.set(c.off, uint16(c.value))
		case 4:
			want.set(c.off, uint32(c.value))
		case 8:
			want.set(c.off, c.value)
		}
		var s SQE
		c.set(&s)
		assert.Equal(t, want, rawOf(&s), c.name)
		assert.Equal(t, c.value, c.get(&s), c.name)
	}
}

// Setters of 32-bit and shorter members clear the padding behind them, and
// nothing else.
func TestSQEUnionPadding(t *testing.T) {
	s := SQE{Off: ^uint64(0), Addr: ^uint64(0), SpliceFdIn: -1, Addr3: ^uint64(0)}
	s.SetCmdOp(1)
	s.SetAddrLen(2)
	s.SetLevel(3)
	b := rawOf(&s)
	assert.Equal(t, []byte{0, 0, 0, 0}, b[12:16])
	assert.Equal(t, []byte{0, 0}, b[46:48])
	assert.Equal(t, []byte{0xff, 0xff, 0xff, 0xff}, b[20:24])
	assert.Equal(t, ^uint64(0), s.Addr3)
}

func TestSQECommandArea(t *testing.T) {
	var s SQE128
	require.Len(t, s.SQE.Cmd(), 16)
	for i := range s.Cmd() {
		s.Cmd()[i] = byte(i + 1)
	}
	b := *(*[128]byte)(unsafe.Pointer(&s))
	assert.Equal(t, make([]byte, 48), b[:48])
	assert.Equal(t, byte(1), b[48])
	assert.Equal(t, byte(80), b[127])
	assert.Equal(t, binary.NativeEndian.Uint64([]byte{1, 2, 3, 4, 5, 6, 7, 8}), s.Addr3)
}

func TestPollWord(t *testing.T) {
	assert.Equal(t, uint32(0x00040001), swapHalves(0x00010004))
	assert.Equal(t, binary.NativeEndian.Uint16([]byte{0, 1}) == 1, bigEndian)
	assert.Equal(t, uint32(0x12345678), pollWord(pollWord(0x12345678)))
}
