"""An embedded server that behaves as TensorFlow Serving does: the serving room of genline.

In the order of the data, each package knowing only those above it:

    options/       flags and the files that they name
    repository/    base paths and the versions under them
    network/       addresses, TLS
    runtime/       runs one loaded version on arrays
    batching/      puts requests together into batches
    models/        which models and versions are served
    rpcs/          the gRPC services
    loading/       from the folder of a version to one that may serve
    telemetry/     metrics, traces, log lines
    rest/          the REST API
    server.py      puts them together; cli.py is the command

errors.py has the exception that all raise; interrupts.py handles Ctrl-C before the command runs and after it ends;
quiet.py imports TensorFlow.
"""
