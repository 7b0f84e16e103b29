"""Verification of a running server: are its answers those of the exported model, and how fast does it answer?"""
