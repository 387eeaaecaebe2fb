"""The model as one web page: its C compiled to WebAssembly, beside a canvas to draw on."""
