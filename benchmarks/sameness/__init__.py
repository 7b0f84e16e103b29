"""Proof that two commits compute the same: both run the same scenarios, then their artifacts are compared.

Nothing here imports the project: each commit is driven through its command line, and artifacts are read by file type.
"""
