"""Read and clean the raw logs."""
