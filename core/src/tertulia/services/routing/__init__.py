"""Who is asked, and who is asked next."""
