"""Who may do what: permissions, the roles that hold them, and the subject of every admin use case."""
