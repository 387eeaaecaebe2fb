"""mnist_edge/training"""
