module github.com/streamflow/streamflow

go 1.26
