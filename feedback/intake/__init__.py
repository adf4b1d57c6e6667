"""From a statement somebody makes to feedback on the log: ids, weights, what is held until it can be filed."""
