"""Handling of untrusted files: checks of their content, and limited processes to open them."""
