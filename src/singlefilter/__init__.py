"""What single filters of a trained network stand for: the method of Tzach et al. (2023), arXiv 2305.18078."""
