"""The page that people look at mails with: its files, as a browser gets them."""
