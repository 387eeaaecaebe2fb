"""mnist_edge/models"""
