//go:build linux

package main

import (
	"context"
	"errors"
	"os"

	yfile "github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// ours appends by our Appender.
type ours struct {
	f *yfile.File
	a *yfile.Appender
}

// openOurs opens our appender.
func openOurs(rt *proactor.Runtime, path string) (appender, error) {
	f, err := yfile.OpenConfig{Runtime: rt}.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &ours{f, yfile.NewAppender(f, yfile.AppendConfig{})}, nil
}

func (o *ours) append(record []byte) error {
	_, err := o.a.Append(context.Background(), record)
	return err
}

func (o *ours) close() error { return errors.Join(o.a.Close(), o.f.Close()) }
