package file_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// tree makes a small tree and returns its directory.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, file.MkdirAll(dir+"/a/b", 0o700))
	for _, name := range []string{"f", "a/g", "a/b/h"} {
		require.NoError(t, file.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	require.NoError(t, file.Symlink("g", dir+"/a/link"))
	return dir
}

func TestFileSystems(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dir := tree(t)
		cfg := file.OpenConfig{Runtime: rt}
		root, err := cfg.OpenRoot(dir)
		require.NoError(t, err)
		defer root.Close()
		for name, fsys := range map[string]fs.FS{"DirFS": cfg.DirFS(dir), "Root": root.FS()} {
			t.Run(name, func(t *testing.T) {
				require.NoError(t, fstest.TestFS(fsys, "f", "a/g", "a/b/h", "a/link"))
				f, err := fsys.Open("a/g")
				require.NoError(t, err)
				require.IsType(t, &file.File{}, f)
				require.NoError(t, f.Close())
				dst := t.TempDir() + "/copy"
				require.NoError(t, file.CopyFS(dst, fsys))
				requireFile(t, dst+"/a/b/h", "a/b/h")
				for _, bad := range []string{"/f", "../f", "", "a/", "none"} {
					f, err := fsys.Open(bad)
					require.Nil(t, f)
					var pe *fs.PathError
					require.ErrorAs(t, err, &pe)
					require.Equal(t, bad, pe.Path)
				}
			})
		}
		_, err = cfg.DirFS("").Open("f")
		require.ErrorContains(t, err, "empty root")
	})
}

func requireFile(t *testing.T, name, content string) {
	t.Helper()
	got, err := file.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, content, string(got))
}

// A Root lets nothing out, by whichever method.
func TestRootConfines(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dir := tree(t)
		require.NoError(t, file.WriteFile(dir+"/secret", []byte("secret"), 0o600))
		require.NoError(t, file.Symlink("../../secret", dir+"/a/b/out"))
		require.NoError(t, file.Symlink(dir+"/secret", dir+"/a/absolute"))
		require.NoError(t, file.Symlink("..", dir+"/a/up"))
		root, err := file.OpenConfig{Runtime: rt}.OpenRoot(dir + "/a")
		require.NoError(t, err)
		defer root.Close()
		for _, name := range []string{"../secret", "b/../../secret", "b/out", "absolute", "up/secret", "/etc/passwd"} {
			tries := map[string]func() error{
				"Open":      func() error { _, err := root.Open(name); return err },
				"Create":    func() error { _, err := root.Create(name); return err },
				"OpenFile":  func() error { _, err := root.OpenFile(name, file.O_RDWR, 0); return err },
				"OpenRoot":  func() error { _, err := root.OpenRoot(name); return err },
				"ReadFile":  func() error { _, err := root.ReadFile(name); return err },
				"WriteFile": func() error { return root.WriteFile(name, []byte("x"), 0o600) },
				"Stat":      func() error { _, err := root.Stat(name); return err },
				"Chmod":     func() error { return root.Chmod(name, 0o777) },
				"Mkdir":     func() error { return root.Mkdir(name+"/d", 0o700) },
				"Rename":    func() error { return root.Rename("g", name+"/x") },
				"FS":        func() error { _, err := fs.ReadFile(root.FS(), name); return err },
			}
			for method, try := range tries {
				require.Error(t, try(), "%s of %s", method, name)
			}
		}
		requireFile(t, dir+"/secret", "secret")

		f, err := root.OpenFile("b/new", file.O_RDWR|file.O_CREATE, 0o600)
		require.NoError(t, err)
		_, err = f.WriteString("new")
		require.NoError(t, err)
		require.NoError(t, f.Close())
		got, err := root.ReadFile("b/new")
		require.NoError(t, err)
		require.Equal(t, "new", string(got))
		sub, err := root.OpenRoot("b")
		require.NoError(t, err)
		defer sub.Close()
		require.NoError(t, sub.WriteFile("new", []byte("newer"), 0o600))
		requireFile(t, dir+"/a/b/new", "newer")
		_, err = sub.Open("../g")
		require.Error(t, err)
	})
}

// While somebody swaps a directory and a link that leads out, a Root opens what is
// inside or fails.
func TestRootUnderRace(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dir := t.TempDir()
		require.NoError(t, file.MkdirAll(dir+"/in/d", 0o700))
		require.NoError(t, file.MkdirAll(dir+"/out", 0o700))
		require.NoError(t, file.WriteFile(dir+"/in/d/f", []byte("inside"), 0o600))
		require.NoError(t, file.WriteFile(dir+"/out/f", []byte("outside"), 0o600))
		require.NoError(t, file.Symlink("../out", dir+"/in/link"))
		root, err := file.OpenConfig{Runtime: rt}.OpenRoot(dir + "/in")
		require.NoError(t, err)
		defer root.Close()
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
				}
				_ = os.Rename(dir+"/in/d", dir+"/in/e")
				_ = os.Rename(dir+"/in/link", dir+"/in/d")
				_ = os.Rename(dir+"/in/d", dir+"/in/link")
				_ = os.Rename(dir+"/in/e", dir+"/in/d")
			}
		}()
		inside := 0
		enough := time.Now().Add(10 * time.Second) // on a machine that is busy
		for i := 0; i < 2000 || inside == 0 && time.Now().Before(enough); i++ {
			b, err := root.ReadFile("d/f")
			if err == nil {
				require.Equal(t, "inside", string(b))
				inside++
			}
		}
		close(stop)
		<-stopped
		require.NotZero(t, inside)
	})
}

func TestWholeFiles(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		cfg := file.OpenConfig{Runtime: rt}
		dir := t.TempDir()
		for _, size := range []int{0, 1, 511, 512, 513, 1 << 20} {
			want := pattern(size)
			require.NoError(t, cfg.WriteFile(dir+"/f", want, 0o640))
			got, err := cfg.ReadFile(dir + "/f")
			require.NoError(t, err)
			require.NotNil(t, got)
			require.Equal(t, string(want), string(got))
		}
		info, err := file.Stat(dir + "/f")
		require.NoError(t, err)
		require.EqualValues(t, 0o640, info.Mode())
		status, err := cfg.ReadFile("/proc/self/status")
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(status), "Name:"))
		_, err = cfg.ReadFile(dir)
		_, wantErr := os.ReadFile(dir)
		require.Equal(t, wantErr, err)
		require.Equal(t, os.WriteFile(dir, nil, 0), cfg.WriteFile(dir, nil, 0))
	})
}

func TestCreateTemp(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		cfg := file.OpenConfig{Runtime: rt}
		dir := t.TempDir()
		a, err := cfg.CreateTemp(dir, "x*.y")
		require.NoError(t, err)
		defer a.Close()
		b, err := cfg.CreateTemp(dir+"/", "x*.y")
		require.NoError(t, err)
		defer b.Close()
		require.NotEqual(t, a.Name(), b.Name())
		for _, f := range []*file.File{a, b} {
			require.Equal(t, dir, filepath.Dir(f.Name()))
			require.Regexp(t, `^x[0-9]+\.y$`, filepath.Base(f.Name()))
			info, err := f.Stat()
			require.NoError(t, err)
			require.EqualValues(t, 0o600, info.Mode())
			_, err = io.WriteString(f, "x")
			require.NoError(t, err)
		}
		_, err = cfg.CreateTemp(dir, "a/b")
		_, wantErr := os.CreateTemp(dir, "a/b")
		require.Equal(t, wantErr, err)
		_, err = cfg.CreateTemp(dir+"/none", "x")
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}
