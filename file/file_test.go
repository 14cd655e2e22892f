package file_test

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestMain(m *testing.M) {
	testkit.BeforeCheck(func() { _ = proactor.ShutdownDefault(context.Background()) })
	testkit.Main(m)
}

func TestReader(t *testing.T) {
	content := make([]byte, 300_000)
	for i := range content {
		content[i] = byte(i * i >> 3)
	}
	name := filepath.Join(t.TempDir(), "data")
	f, err := file.Create(name)
	require.NoError(t, err)
	n, err := f.Write(content)
	require.NoError(t, err)
	require.Equal(t, len(content), n)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Close(), os.ErrClosed)

	f, err = file.Open(name)
	require.NoError(t, err)
	require.NoError(t, iotest.TestReader(io.NewSectionReader(f, 0, int64(len(content))), content))
	h := sha256.New()
	_, err = io.Copy(h, f)
	require.NoError(t, err)
	want := sha256.Sum256(content)
	require.Equal(t, want[:], h.Sum(nil))
	require.NoError(t, f.Close())
}
