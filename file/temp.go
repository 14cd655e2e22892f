package file

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
)

// CreateTemp creates a new file in dir, or in the directory for temporary files
// if dir is empty, with mode 0600 before umask, and opens it for reading and
// writing, on the default runtime. Its name is pattern with the last * replaced
// by something random, or with that appended. Nobody else gets the same file;
// the caller removes it.
func CreateTemp(dir, pattern string) (*File, error) { return OpenConfig{}.CreateTemp(dir, pattern) }

// maxTempTries is how many names are tried that are taken.
const maxTempTries = 10000

// CreateTemp is the function CreateTemp on c.Runtime.
func (c OpenConfig) CreateTemp(dir, pattern string) (*File, error) {
	for i := range len(pattern) {
		if os.IsPathSeparator(pattern[i]) {
			return c.fromNew(os.CreateTemp(dir, pattern)) // which refuses it
		}
	}
	if dir == "" {
		dir = os.TempDir()
	}
	if !os.IsPathSeparator(dir[len(dir)-1]) {
		dir += string(os.PathSeparator)
	}
	prefix, suffix := pattern, ""
	if star := strings.LastIndexByte(pattern, '*'); star >= 0 {
		prefix, suffix = pattern[:star], pattern[star+1:]
	}
	for range maxTempTries {
		name := dir + prefix + strconv.FormatUint(uint64(rand.Uint32()), 10) + suffix
		f, err := c.OpenFile(name, O_RDWR|O_CREATE|O_EXCL, 0o600)
		if !os.IsExist(err) {
			return f, err
		}
	}
	return nil, &PathError{Op: "createtemp", Path: dir + prefix + "*" + suffix, Err: ErrExist}
}
