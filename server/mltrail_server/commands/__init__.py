"""Commands of `mltrail-server`, one module each: `add` describes its options, and `run` returns the exit code."""
