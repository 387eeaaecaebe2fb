"""TFLite: convert (calibrates int8 too), optimize, inspect, metadata."""
