"""Results that were made elsewhere: read into the tables that statistics read, and asked the same questions."""
