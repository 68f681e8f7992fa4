"""The four searchers as the authors' code behaves, defects included (NARes, section 5).

For the first three, the same table and seed give the same queries in the same order and
the same reported architecture, over-budget queries included.  BANANAS follows the same
protocol with seeded predictors; the authors' are not seeded.

`searchers.PUBLISHED` names them.  They stop by themselves:

    searcher = PublishedLocalSearch(space, seed=0, queries=500)
    while True:
        try:
            architecture = searcher.ask()
        except SearchFinishedError:
            break
        searcher.tell(architecture, evaluate(architecture))
"""
