"""From an admitted call to the frames of a worker and back, whatever the client's dialect."""
