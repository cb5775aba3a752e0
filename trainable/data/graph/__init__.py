"""How the symbols of a bar are connected: by the correlation of their past returns, and groups."""
