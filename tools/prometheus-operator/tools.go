//go:build tools

// Package tools pins whose definitions of ServiceMonitor, PodMonitor and PrometheusRule the chart's are tried against.
package tools
