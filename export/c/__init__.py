"""C export: one C99 source that needs no runtime, made from a TFLite file in int8."""
