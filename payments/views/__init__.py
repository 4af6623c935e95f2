"""The pages of money, for players: one file for each of paying, a card on file, the receipt."""
