"""What both stages train with: devices, seeds and the loop."""
