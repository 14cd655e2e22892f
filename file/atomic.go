package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// AtomicReplace makes data the content of the named file, as WriteFile does, but
// atomically and durably: whoever opens the file, also after a crash at any
// moment, finds the old content or the new, whole. When it returns nil, the new
// content is on stable storage. A file that does not exist is created with
// permissions perm, before umask; those of one that exists are kept, and so is
// its owner. See Replacement.
func AtomicReplace(name string, data []byte, perm FileMode) error {
	return ReplaceConfig{Perm: perm}.WriteFile(name, data)
}

// ReplaceConfig contains options for replacing files.
type ReplaceConfig struct {
	// Runtime is what the file is written on; nil means the default runtime.
	Runtime *proactor.Runtime

	// Perm are the permissions, before umask, of a file that does not exist yet;
	// default 0666.
	Perm FileMode

	// Mode, if not 0, are the permissions that the file has afterwards, whether
	// it existed or not, and whatever the umask says.
	Mode FileMode

	// NewOwner makes the file belong to who replaces it. Otherwise its owner and
	// group are kept, which fails if the process has no right to that.
	NewOwner bool
}

// WriteFile is AtomicReplace with the configuration.
func (c ReplaceConfig) WriteFile(name string, data []byte) error {
	r, err := c.Begin(name)
	if err != nil {
		return err
	}
	if _, err := r.Write(data); err != nil {
		return errors.Join(err, r.Abort())
	}
	return r.Commit()
}

// Replacement is the new content of a file, which takes the place of the old one
// when it is complete. It is written like a File, to a temporary file in the same
// directory; Commit syncs that, gives it the name, and syncs the directory. Until
// then nobody sees it. One of Commit and Abort must be called.
//
// If the name is a symbolic link, the file that it points to is replaced. Other
// names of a file keep the old content, and so does who has the file open. What
// extended attributes and access control lists the old file had is lost.
//
// A process that is killed leaves its temporary file behind, which
// RemoveLeftovers finds.
type Replacement struct {
	*File
	cfg  ReplaceConfig
	name string // what is replaced, without symbolic links
	temp string
	done bool
}

// ReplaceError is the error of a Commit.
type ReplaceError struct {
	Path string

	// Replaced says that the file has its new content, but that this is not known
	// to be durable: after a crash it can have the old. If it is false, the file
	// is as it was.
	Replaced bool

	Err error // why
}

// Error says what has failed, and what the file has.
func (e *ReplaceError) Error() string {
	state := "not replaced"
	if e.Replaced {
		state = "replaced, but maybe not durably"
	}
	return "replace " + e.Path + ": " + state + ": " + e.Err.Error()
}

// Unwrap returns why.
func (e *ReplaceError) Unwrap() error { return e.Err }

// Begin makes an empty Replacement for the named file, which may exist or not.
// Its Name is that of the temporary file.
func (c ReplaceConfig) Begin(name string) (*Replacement, error) {
	target, exists, err := resolve(name)
	if err != nil {
		return nil, &ReplaceError{Path: name, Err: err}
	}
	perm := c.Perm
	if perm == 0 {
		perm = 0o666
	}
	if exists || c.Mode != 0 {
		perm = 0o600 // Commit sets them
	}
	r := &Replacement{cfg: c, name: target}
	if err := r.create(perm); err != nil {
		return nil, &ReplaceError{Path: name, Err: err}
	}
	return r, nil
}

// resolve follows symbolic links to the file that is to be replaced, and reports
// whether it exists.
func resolve(name string) (target string, exists bool, err error) {
	info, err := os.Lstat(name)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if name, err = filepath.EvalSymlinks(name); err == nil {
			info, err = os.Lstat(name)
		}
		if errors.Is(err, os.ErrNotExist) {
			return "", false, fmt.Errorf("symbolic link to nothing: %w", err)
		}
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return name, false, nil
	case err == nil && !info.Mode().IsRegular():
		err = fmt.Errorf("it is not a regular file: %w", os.ErrInvalid)
	}
	return name, true, err
}

// create makes the temporary file and takes its lock, by which RemoveLeftovers
// knows that it is in use.
func (r *Replacement) create(perm FileMode) error {
	for range 1000 {
		temp := tempPrefix(r.name) + strconv.FormatUint(rand.Uint64(), 36)
		f, err := OpenConfig{Runtime: r.cfg.Runtime}.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		var mine bool
		var links int
		err = f.control("lock", func(sysfd int) (err error) {
			if mine, err = sys.TryLock(sysfd); err == nil && mine {
				links, err = sys.Links(sysfd)
			}
			return err
		})
		if errors.Is(err, errors.ErrUnsupported) || err == nil && mine && links > 0 {
			r.File, r.temp = f, temp
			return nil
		}
		// Somebody took it for a leftover before it was locked, or the file
		// system fails.
		_ = f.Close()
		_ = os.Remove(temp)
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("no free name for a temporary file: %w", os.ErrExist)
}

// tempPrefix is how the names of temporary files for a name begin. It leaves room
// for the rest where names have 255 bytes.
func tempPrefix(name string) string {
	dir, base := filepath.Split(name)
	const most = 200
	return dir + ".replace-" + base[:min(len(base), most)] + "-"
}

// Commit makes the Replacement the content of the file, durably, and closes it.
// Errors are of type *ReplaceError. If the file has not been replaced, the
// Replacement is removed.
func (r *Replacement) Commit() error {
	if r.done {
		return &ReplaceError{Path: r.name, Err: os.ErrClosed}
	}
	r.done = true
	err := r.takeOver()
	if err == nil {
		err = r.Sync()
	}
	if !onLinux {
		err = errors.Join(err, r.File.Close()) // Windows does not rename open files
	}
	if err == nil {
		err = os.Rename(r.temp, r.name)
	}
	if onLinux {
		// Only now, so that its lock protects it from RemoveLeftovers. All that a
		// Close could report Sync has.
		_ = r.File.Close()
	}
	if err != nil {
		_ = os.Remove(r.temp)
		return &ReplaceError{Path: r.name, Err: err}
	}
	err = syncDir(r.cfg.Runtime, filepath.Dir(r.name))
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return &ReplaceError{Path: r.name, Replaced: true, Err: err}
	}
	return nil
}

// takeOver gives the temporary file the owner and permissions of the file that it
// replaces.
func (r *Replacement) takeOver() error {
	old, err := os.Lstat(r.name)
	mode := r.cfg.Mode
	switch {
	case errors.Is(err, os.ErrNotExist):
		if mode == 0 {
			return nil
		}
	case err != nil:
		return err
	default:
		if mode == 0 {
			mode = old.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
		}
		if err := r.takeOwner(old); err != nil {
			return err
		}
	}
	return r.std.Chmod(mode) // after the owner, whose change takes bits away
}

func (r *Replacement) takeOwner(old FileInfo) error {
	uid, gid, ok := sys.Owner(old.Sys())
	if !ok || r.cfg.NewOwner {
		return nil
	}
	now, err := r.Stat()
	if err != nil {
		return err
	}
	if u, g, _ := sys.Owner(now.Sys()); u == uid && g == gid {
		return nil
	}
	if err := r.std.Chown(uid, gid); err != nil {
		return fmt.Errorf("keeping its owner (ReplaceConfig.NewOwner does without): %w", err)
	}
	return nil
}

// Abort gives the Replacement up; the file stays as it was. After Commit it does
// nothing, so that it can be deferred.
func (r *Replacement) Abort() error {
	if r.done {
		return nil
	}
	r.done = true
	return errors.Join(r.File.Close(), os.Remove(r.temp))
}

// Close is Abort.
func (r *Replacement) Close() error { return r.Abort() }

// RemoveLeftovers removes the temporary files that replacements of the named file
// have left behind because their process was killed, and returns how many those
// were. It leaves alone the ones of replacements that are being written, in this
// process or another. On systems other than Linux, where it cannot tell these
// apart, the error matches errors.ErrUnsupported.
func RemoveLeftovers(name string) (removed int, err error) {
	if !onLinux {
		return 0, &PathError{Op: "remove leftovers", Path: name, Err: errors.ErrUnsupported}
	}
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	dir, prefix := filepath.Split(tempPrefix(name))
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		ok, err := removeLeftover(filepath.Join(dir, e.Name()))
		if ok {
			removed++
		}
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

func removeLeftover(temp string) (bool, error) {
	f, err := OpenConfig{}.OpenFile(temp, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil // its replacement is complete
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	var stale bool
	err = f.control("lock", func(sysfd int) error {
		stale, err = sys.TryLock(sysfd)
		return err
	})
	if err != nil || !stale {
		return false, err
	}
	// While it was being locked, it can have been closed and be about to get its
	// name: then this removes nothing, or makes that fail.
	if err := os.Remove(temp); !errors.Is(err, os.ErrNotExist) {
		return err == nil, err
	}
	return false, nil
}

// SyncDir makes the names in a directory durable: files that were created,
// renamed or removed there. A file's own Sync does not do that. Where the system
// cannot, as on Windows, the error matches errors.ErrUnsupported.
func SyncDir(name string) error { return syncDir(nil, name) }

func syncDir(rt *proactor.Runtime, name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if rt == nil {
		rt = proactor.Default()
	}
	if !rt.HasRing() {
		if runtime.GOOS == "windows" {
			return &PathError{Op: "sync", Path: name, Err: errors.ErrUnsupported}
		}
		return dir.Sync()
	}
	rc, err := dir.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := rc.Control(func(sysfd uintptr) {
		_, failed = proactor.Do(context.Background(), rt, proactor.Fsync{FD: int(sysfd)})
	}); err != nil {
		return err
	}
	var errno syscall.Errno
	if errors.As(failed, &errno) {
		failed = &PathError{Op: "sync", Path: name, Err: errno}
	}
	return failed
}
