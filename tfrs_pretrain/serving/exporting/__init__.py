"""Write a version folder for TensorFlow Serving, checked before it appears."""
