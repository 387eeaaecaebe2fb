"""The training loop: augmentation, optimizer, checkpoints, reproducibility. Keras and NumPy."""
