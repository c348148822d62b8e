"""What every edge shares: routes with their access, who is asking, bodies, errors."""
