"""What a Beam job is asked to do, and the runner that does it."""
