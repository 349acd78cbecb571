"""Authoring: what helps people to write, read, test and change a policy.

Values in, values out: files, clock and terminal are the command line's.
"""
