"""export/tflite"""
