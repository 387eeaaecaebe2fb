"""Artifacts in a browser: WebAssembly of the C file beside the runtimes that browsers have."""
