"""What is reported of each request: metrics, traces, log lines.

telemetry.py     every finished request is reported here
monitoring.py    the metrics of TensorFlow Serving
metrics.py       counters, gauges and histograms as Prometheus reads them
tracing.py       spans for OpenTelemetry
config.py        --monitoring_config_file
"""
