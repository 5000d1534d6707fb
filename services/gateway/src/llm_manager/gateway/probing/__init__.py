"""What a server of a kind without fixed abilities can do: asked once, stored with its provider."""
