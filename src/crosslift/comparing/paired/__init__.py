"""Two studies, or two definitions of one, compared on the cells and items that both have."""
