"""Why a mixture is recommended, what would change it, and which pilot would tell what the data do not."""
