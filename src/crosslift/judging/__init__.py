"""Evaluation of open-ended answers with a judge model: ratings from 1 to 5, or pairwise comparisons in both orders."""
