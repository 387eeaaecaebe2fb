"""mnist_edge/images"""
