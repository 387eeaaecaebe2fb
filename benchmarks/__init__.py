"""Judge a bundle: is each artefact right, and how fast is it? `python -m benchmarks`."""
