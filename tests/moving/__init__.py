"""A history that moves: what an old server says of it, mltrail says too."""
