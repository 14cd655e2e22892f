package main

import (
	"errors"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// site is a handler that serves a directory.
type site struct {
	dir    string
	root   *os.Root // says which names lead to something inside
	open   file.OpenConfig
	list   bool
	maxAge time.Duration

	requests, files atomic.Int64
}

func newSite(rt *proactor.Runtime, o options) (*site, error) {
	root, err := os.OpenRoot(o.root)
	if err != nil {
		return nil, err
	}
	return &site{dir: o.root, root: root, open: file.OpenConfig{Runtime: rt}, list: o.list, maxAge: o.maxAge}, nil
}

func (s *site) Close() error { return s.root.Close() }

// ServeHTTP answers one request. It hands the connection's own writer to
// ServeContent: one that only wraps it would hide that the kernel can send files.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Inc()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if hidden(name) {
		http.NotFound(w, r)
		return
	}
	if name == "" {
		name = "."
	}
	info, err := s.root.Stat(name)
	switch {
	case err != nil:
		fail(w, r, err)
	case info.IsDir() && !strings.HasSuffix(r.URL.Path, "/"):
		// Relative links in what is served for it need the slash.
		http.Redirect(w, r, path.Base(name)+"/", http.StatusMovedPermanently)
	case info.IsDir():
		s.serveDir(w, r, name)
	case strings.HasSuffix(r.URL.Path, "/"):
		http.NotFound(w, r)
	default:
		s.serveFile(w, r, name, info)
	}
}

// hidden reports whether a part of a name begins with a dot.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// fail answers without saying more about the directory than needed.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, fs.ErrPermission):
		http.Error(w, "forbidden", http.StatusForbidden)
	default: // nothing there, or a link that leads out
		http.NotFound(w, r)
	}
}

func (s *site) serveFile(w http.ResponseWriter, r *http.Request, name string, info fs.FileInfo) {
	if !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	f, err := s.open.OpenFile(filepath.Join(s.dir, filepath.FromSlash(name)), os.O_RDONLY, 0)
	if err != nil {
		fail(w, r, err)
		return
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil || !os.SameFile(info, opened) {
		// Somebody has put something else, perhaps a link, in its place since
		// root has looked.
		http.NotFound(w, r)
		return
	}
	s.files.Inc()
	h := w.Header()
	h.Set("ETag", fmt.Sprintf(`"%x-%x"`, opened.ModTime().UnixNano(), opened.Size()))
	h.Set("X-Content-Type-Options", "nosniff")
	if s.maxAge > 0 {
		h.Set("Cache-Control", fmt.Sprintf("max-age=%d", int(s.maxAge.Seconds())))
	}
	http.ServeContent(w, r, path.Base(name), opened.ModTime(), f)
}

func (s *site) serveDir(w http.ResponseWriter, r *http.Request, name string) {
	index := path.Join(name, "index.html")
	if info, err := s.root.Stat(index); err == nil && info.Mode().IsRegular() {
		s.serveFile(w, r, index, info)
		return
	}
	if !s.list {
		http.NotFound(w, r)
		return
	}
	entries, err := fs.ReadDir(s.root.FS(), name)
	if err != nil {
		fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r.Method == http.MethodHead {
		return
	}
	fmt.Fprintln(w, "<!doctype html>\n<pre>")
	for _, e := range entries {
		if entry := e.Name(); !hidden(entry) {
			if e.IsDir() {
				entry += "/"
			}
			link := url.URL{Path: "./" + entry}
			fmt.Fprintf(w, "<a href=\"%s\">%s</a>\n", html.EscapeString(link.String()), html.EscapeString(entry))
		}
	}
	fmt.Fprintln(w, "</pre>")
}
