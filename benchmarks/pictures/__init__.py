"""Pictures of digits as people take them, rendered, and the share of them that is read right."""
