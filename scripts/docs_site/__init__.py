"""The docs site: pages from `docs/`, built by Sphinx, one folder for each version."""
