"""Export for other tools and machines: mixtures with training configurations, scores as logs, a study as an archive."""
