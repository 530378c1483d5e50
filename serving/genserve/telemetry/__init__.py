"""What is told of each request: metrics, traces, log lines.

telemetry.py     what every answered request is reported to
monitoring.py    the metrics of TensorFlow Serving
metrics.py       counters, gauges and histograms as Prometheus reads them
tracing.py       spans for OpenTelemetry
config.py        --monitoring_config_file
"""
