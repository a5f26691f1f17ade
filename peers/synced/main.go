// Command synced is tusd with the promise of our server: what it has answered
// as finished survives a power loss. Its store syncs the file, the description
// and the directory before the last answer; all else is tusd as it comes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/tus/tusd/v2/pkg/filelocker"
	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
)

func main() {
	dir := flag.String("upload-dir", "", "where uploads are kept")
	address := flag.String("address", "", "host:port to listen on")
	flag.Parse()
	if err := run(*dir, *address); err != nil {
		fmt.Fprintln(os.Stderr, "synced:", err)
		os.Exit(1)
	}
}

func run(dir, address string) error {
	composer := handler.NewStoreComposer()
	composer.UseCore(&store{FileStore: filestore.New(dir), dir: dir})
	filelocker.New(dir).UseIn(composer)
	h, err := handler.NewHandler(handler.Config{BasePath: "/files/", StoreComposer: composer})
	if err != nil {
		return err
	}
	http.Handle("/files/", http.StripPrefix("/files/", h))
	return http.ListenAndServe(address, nil)
}

type store struct {
	filestore.FileStore
	dir string
}

func (s *store) NewUpload(ctx context.Context, info handler.FileInfo) (handler.Upload, error) {
	u, err := s.FileStore.NewUpload(ctx, info)
	return &upload{u, s.dir}, err
}

func (s *store) GetUpload(ctx context.Context, id string) (handler.Upload, error) {
	u, err := s.FileStore.GetUpload(ctx, id)
	return &upload{u, s.dir}, err
}

type upload struct {
	handler.Upload
	dir string
}

func (u *upload) FinishUpload(ctx context.Context) error {
	if err := u.Upload.FinishUpload(ctx); err != nil {
		return err
	}
	info, err := u.GetInfo(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(u.dir, info.ID)
	return errors.Join(sync(path), sync(path+".info"), sync(u.dir))
}

func sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
