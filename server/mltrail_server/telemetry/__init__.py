"""What tells an operator how the server is doing: log lines, traces, and which call they belong to.

Every floor above reports here; nothing here knows who does.
"""
