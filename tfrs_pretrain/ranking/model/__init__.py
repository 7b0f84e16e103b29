"""The ranking network and its inputs."""
