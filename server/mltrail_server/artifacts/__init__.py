"""Bytes: where they are kept. What they are called is the store's business."""
