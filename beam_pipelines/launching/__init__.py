"""Start a job: check its inputs, write its output folder and manifest."""
