module github.com/streamflow/streamflow/interop

go 1.26.0
