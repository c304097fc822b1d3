"""Small graphs, each a trap that real users of pruning tools fell into, and what is expected of them."""
