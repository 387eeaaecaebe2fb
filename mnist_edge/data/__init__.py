"""mnist_edge/data"""
