"""Money out: what is due, who approves it, the files banks get (docs/clearing-rules.md §12).

``due`` → proposal in the close entry; ``approve`` → signed approval entries, the second one makes an order entry;
``files`` → pain.001 and 报盘 files, pure functions of the order entry. ``book`` folds the journal into the one live
status of each payment; ``clearing.bank`` reads what banks answer.
"""
