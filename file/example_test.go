package file_test

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/yamanote-go/yamanote/file"
)

// Files are used as those of package os.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	f, err := file.Create(dir + "/greeting")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("hello, world\n"); err != nil {
		log.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(os.Stdout, io.NewSectionReader(f, 7, 6)); err != nil {
		log.Fatal(err)
	}
	_, err = f.ReadAt(make([]byte, 10), 100)
	fmt.Println(err)
	// Output:
	// world
	// EOF
}
