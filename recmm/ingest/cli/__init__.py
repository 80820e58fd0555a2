"""What the data commands share: options, the files that options name, help texts, progress bars."""
