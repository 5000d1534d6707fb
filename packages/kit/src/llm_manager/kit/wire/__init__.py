"""Values of core as the messages of the contracts, and back: one place for every service that sends or reads them."""
