"""Model directories and ONNX Runtime: never rasterio, never TensorFlow."""
