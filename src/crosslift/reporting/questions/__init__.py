"""Pages of questions and answers: imported results, and recommendations."""
