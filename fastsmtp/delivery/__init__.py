"""Where a finished Email goes, and the JSON it goes as."""
