"""Files from strangers: what is accepted, and the limited processes that open them."""
