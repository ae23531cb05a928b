//go:build tools

// Package tools pins the object store that tests and the chart's demo run against.
package tools

import _ "github.com/minio/minio"
