"""Pure values and arithmetic: numpy only, no file, no CRS, no GDAL, no TensorFlow."""
