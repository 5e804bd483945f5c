"""What calls cost: the site's own prices, else the published ones."""
