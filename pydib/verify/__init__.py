"""Looking into images, booting them, and telling what this machine can do."""
