"""The job side of mltrail: what runs inside a CI job."""

__version__ = "0.1.0"
