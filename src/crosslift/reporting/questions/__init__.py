"""A page of questions and answers: what imported results say, what is recommended and why."""
