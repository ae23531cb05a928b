"""gRPC as our services use it: start and stop, interceptors, errors to statuses and back, typed clients."""

import os

# Our processes start sealed children by exec. With gRPC's own fork handlers on, the fork before such an
# exec now and then ends in SIGSEGV: they touch threads that the child does not have.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
