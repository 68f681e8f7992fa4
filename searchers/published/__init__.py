"""The four searchers as the authors' code behaves, defects included (NARes, section 5).

The same table and seed give the same queries in the same order and the same reported architecture, over-budget
queries included.  For BANANAS that holds with the same predictions: its networks are seeded here, the authors'
are not.  `searchers.PUBLISHED` names the searchers.  They stop by themselves:

    searcher = PublishedLocalSearch(space, seed=0, queries=500)
    while True:
        try:
            architecture = searcher.ask()
        except SearchFinishedError:
            break
        searcher.tell(architecture, evaluate(architecture))
"""
