"""What every resource of the admin API has in common: pages, revisions, and changes that are audited."""
