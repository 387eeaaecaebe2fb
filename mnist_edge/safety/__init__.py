"""mnist_edge/safety"""
