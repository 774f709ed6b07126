"""Answers that have no gold, judged by another model: rated from 1 to 5, or compared in pairs in both orders."""
