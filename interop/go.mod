module github.com/streamflow/streamflow/interop

go 1.26.0

require github.com/streamflow/streamflow v0.0.0

replace github.com/streamflow/streamflow => ../
