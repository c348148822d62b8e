"""Who is ahead with more web processes, and with a database that is not on the same machine."""
