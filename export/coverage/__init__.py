"""What `export` can do: every kind of model against every variant."""
