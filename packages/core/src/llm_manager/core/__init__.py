"""The neutral vocabulary: messages, deltas, usage, money, prices, errors, ids, facts of providers. Pure, no IO."""
