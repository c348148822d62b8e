"""What every edge shares: routes and their access, authentication, bodies, errors."""
