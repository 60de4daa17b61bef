"""
What of the past answers to the newest message, found without any model.

A message answers that holds the *terms* of the question, the rarer the better, and more so when it is by
whom the question names (*speakers*) or of the *dates* it names; the words of the first hits find more
(*feedback*). Its neighbours share what it has, most of all with what answers it when it is a question, and
the best messages of a *sitting* lift the rest of it. What is said again and again (*repeats*) counts less and
less. What says much in few tokens comes first; but where the question is how or why, or what the assistant
said, both *sides* are heard: its long answers get their share of what is taken.

English words are compared by their stems; all others, and what is misspelt, by the runs of characters that
they share with what was said.

    query = make_query(["What did the vet say about Rex?"])    # the user's last messages, the newest last
    query.alternatives      # for a store's index: for each sought word, the forms it can have
    recall = Recall()       # one per conversation: it remembers the terms of what it has seen
    found = recall.rank(query, candidates, corpus=Corpus(message_count, counts))
    recall.measure_pull(query, found, recent)  # 0 to 1: how much of what is asked is known from before only
"""

from __future__ import annotations

from tertulia.services.context.recall.query import Query, make_query
from tertulia.services.context.recall.ranking import Corpus, Recall

__all__ = ["Corpus", "Query", "Recall", "make_query"]
