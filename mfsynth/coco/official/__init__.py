"""COCO's own archives: which there are, how they are fetched, and which folder a build takes."""
