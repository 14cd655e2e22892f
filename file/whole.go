package file

import "io"

// ReadFile returns the contents of a file, read on the default runtime.
func ReadFile(name string) ([]byte, error) { return OpenConfig{}.ReadFile(name) }

// ReadFile is the function ReadFile on c.Runtime.
func (c OpenConfig) ReadFile(name string) ([]byte, error) {
	f, err := c.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.readAll()
}

// leastRead is the room that files without a size begin with, those of /proc for
// instance. Some of these do not work with less.
const leastRead = 512

// readAll reads to the end. A file that grows or shrinks meanwhile is no error.
func (f *File) readAll() ([]byte, error) {
	size := 0
	if info, err := f.Stat(); err == nil {
		// What does not fit into an int does not fit into memory.
		size = int(min(info.Size(), 1<<30))
	}
	// One byte more, to see the end without another read with room for more.
	b := make([]byte, 0, max(size+1, leastRead))
	for {
		n, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
	}
}

// WriteFile writes a file, on the default runtime. It creates the file with mode
// perm before umask, or truncates it. If WriteFile fails, the file may have a
// part of data; it is not durable before it is synced.
func WriteFile(name string, data []byte, perm FileMode) error {
	return OpenConfig{}.WriteFile(name, data, perm)
}

// WriteFile is the function WriteFile on c.Runtime.
func (c OpenConfig) WriteFile(name string, data []byte, perm FileMode) error {
	f, err := c.OpenFile(name, O_WRONLY|O_CREATE|O_TRUNC, perm)
	return f.writeAllAndClose(data, err)
}

// writeAllAndClose is the end of a WriteFile, whose open may have failed.
func (f *File) writeAllAndClose(data []byte, err error) error {
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
