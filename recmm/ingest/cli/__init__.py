"""What the data commands share: options, help texts, progress bars."""
