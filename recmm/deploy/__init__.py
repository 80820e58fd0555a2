"""From a finished run to recommendations: lists for users, neighbours of items, exports, and further evaluations."""
