"""`shardboard shards`: what there is, how to add and remove shards, and how to move buckets between them."""
