"""From Stage I's rows to an index of items, and from a user id to ranked items."""
