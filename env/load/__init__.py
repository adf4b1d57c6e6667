"""How much the replicas have to do: read from them, or counted here."""
