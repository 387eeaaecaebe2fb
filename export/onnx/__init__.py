"""export/onnx"""
