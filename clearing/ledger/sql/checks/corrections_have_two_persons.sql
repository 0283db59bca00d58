-- Every adjustment, move of a dispute and state of a card has a reason and is by two persons.
SELECT entry, adjustment AS correction, proposer, approver FROM adjustments WHERE proposer = approver OR trim(reason) = ''
UNION ALL
SELECT entry, dispute, proposer, approver FROM disputes WHERE proposer = approver OR trim(reason) = ''
UNION ALL
SELECT entry, change, proposer, approver FROM card_states WHERE proposer = approver OR trim(reason) = '';
