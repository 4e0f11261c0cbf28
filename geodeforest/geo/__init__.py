"""The geospatial edge: rasters, vectors and their georeference. Never a network."""
