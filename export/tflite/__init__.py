"""TFLite: convert, optimize, inspect."""
