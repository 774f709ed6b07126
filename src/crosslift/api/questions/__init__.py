"""Questions to a study: which mixture is best, which runs come next, and the pilot that answers first."""
