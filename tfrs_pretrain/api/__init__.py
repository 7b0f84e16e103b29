"""The functions of the public interface, which take paths and configurations in the forms that callers have."""
