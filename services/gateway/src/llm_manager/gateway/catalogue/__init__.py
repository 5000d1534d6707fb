"""What the platform knows: apps, keys, providers, configurations, aliases; and how a name becomes a target."""
