"""Training the networks from shards or straight from COCO."""
