package s3store_test

import (
	"context"
	"fmt"
	"log"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/s3store"
)

// A file goes to a bucket of Amazon S3, with the credentials of the environment.
func Example() {
	budget, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer budget.Close()
	dst, err := s3store.Open("backups", "db", budget, &s3store.Options{
		Region: "eu-central-1",
		Object: s3store.ObjectOptions{StorageClass: "STANDARD_IA"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer dst.Close()
	manager, err := streamflow.New(dst, &streamflow.Options{Memory: budget})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close()
	upload, err := manager.UploadFile(context.Background(), "shop.sql")
	if err != nil {
		log.Fatal(err)
	}
	result, err := upload.Wait(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Location)
}
