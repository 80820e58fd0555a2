"""The classes of attacks of the campaign, one module each, and what they share."""
