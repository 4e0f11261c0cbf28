"""TensorFlow and Keras: training records, the U-Net, losses and training. Never rasterio."""
