"""gRPC as our services use it: start and stop, interceptors, errors to statuses and back, typed clients."""
